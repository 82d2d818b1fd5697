"""Backbones, one family a file: images to feature maps."""
