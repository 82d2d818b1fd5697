"""Trials of the stage block."""
