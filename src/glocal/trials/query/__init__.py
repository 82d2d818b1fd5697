"""Trials of queries."""
