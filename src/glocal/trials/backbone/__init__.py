"""Trials of the stage backbone."""
