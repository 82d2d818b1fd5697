"""Objectives, one per file: losses of a batch of vectors and labels."""
