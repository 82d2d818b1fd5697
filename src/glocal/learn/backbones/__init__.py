"""Backbones, one family a file: pictures to feature maps."""
