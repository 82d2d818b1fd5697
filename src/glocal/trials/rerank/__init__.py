"""Trials of the stage rerank."""
