"""Trials of the stage head."""
