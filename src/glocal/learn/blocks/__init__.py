"""Blocks: layers that can be grafted into a backbone, one file for each."""
