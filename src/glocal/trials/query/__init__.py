"""Trials of queries that are not an image alone."""
