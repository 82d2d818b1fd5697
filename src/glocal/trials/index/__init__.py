"""Trials of the stage index."""
