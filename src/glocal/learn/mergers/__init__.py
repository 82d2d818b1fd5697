"""Mergers: one network of several that were tuned from the same one, without training."""
