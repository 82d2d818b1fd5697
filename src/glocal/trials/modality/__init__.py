"""Trials of other modalities."""
