"""Trials of the stage compat."""
