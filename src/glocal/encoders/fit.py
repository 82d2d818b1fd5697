"""Resize an image for a network: its own aspect ratio, about the same number of pixels."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.card import Card


def input_size(width: int, height: int, card: Card) -> tuple[int, int]:
    """Width and height of the network's input for an image of this size, both in pixels."""
    aspect = min(max(width / height, 1 / card.max_aspect), card.max_aspect)
    ideal_width = sqrt(card.area * aspect)

    def rounded(side: float) -> int:
        return max(card.multiple, round(side / card.multiple) * card.multiple)

    return rounded(ideal_width), rounded(ideal_width / aspect)


def fit(image: NDArray[np.uint8], card: Card) -> NDArray[np.uint8]:
    """Scale an image up or down to the network's input.

    Args:
        image: ``(h, w, 3)`` uint8 RGB, upright.
        card: The model's card.

    Returns:
        ``(1, H, W, 3)`` uint8.
    """
    from PIL import Image  # slow to import, and not needed to list models

    height, width = image.shape[:2]
    size = input_size(width, height, card)
    if size == (width, height):
        return np.ascontiguousarray(image)[None]
    scaled = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(scaled)[None]
