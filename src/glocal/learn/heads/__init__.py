"""Heads, one per file: feature maps to one vector and local features."""
