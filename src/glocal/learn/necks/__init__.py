"""Necks: feature maps from feature maps, one file for each."""
