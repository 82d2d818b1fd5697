"""Trials of the stage explain."""
