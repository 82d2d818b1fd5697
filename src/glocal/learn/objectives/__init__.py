"""Objectives, one a file: what makes a batch of vectors good."""
