"""Trials of the stage compress."""
