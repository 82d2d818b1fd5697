"""Backbones, one family per file: images to feature maps."""
