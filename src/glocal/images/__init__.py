"""Decode any image source to upright RGB, with the facts that its file states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glocal.images.decode import LoadedImage, load
from glocal.images.facts import Facts
from glocal.images.formats import has_image_suffix
from glocal.images.limits import Limits
from glocal.images.sources import read_bytes

if TYPE_CHECKING:
    from glocal.images.decode import ImageSource

__all__ = [
    "Facts",
    "ImageSource",
    "Limits",
    "LoadedImage",
    "has_image_suffix",
    "load",
    "read_bytes",
]
