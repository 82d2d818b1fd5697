"""Trials of the stage analyse."""
