"""Heads, one a file: feature maps to one vector and local features."""
