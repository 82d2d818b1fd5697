"""Trials of the stage adapt."""
