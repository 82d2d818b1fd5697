"""Trials of the stage objective."""
