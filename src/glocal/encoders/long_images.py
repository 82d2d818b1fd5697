"""Long images, such as screenshots of whole pages and panoramas: parts that overlap.

A network's input has about the same number of pixels whatever an image's shape, so that a piece of
a long image is tiny in it, and beyond the model's `Card.max_aspect` squeezed too. Each part of a
long image therefore gets a pass of its own, whose vector is that of a region.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

LONG = 2.5
"""Ratio of an image's sides from which it is a long one."""

_PART = 2.0
"""The longer side of a part, in shorter ones, where so many parts suffice."""


def part_boxes(width: int, height: int, most: int) -> NDArray[np.float32]:
    """The parts of an image from edge to edge, each having half in common with the next one.

    Args:
        width: of the upright image, in pixels.
        height: of it.
        most: how many parts at most; those of a very long image are longer.

    Returns:
        ``(n, 4)``: x, y, width and height as fractions of the image; no rows unless it is long.
    """
    ratio = max(width, height) / min(width, height)
    if ratio < LONG:
        return np.zeros((0, 4), np.float32)
    length = max(_PART, 2 * ratio / (most + 1))
    count = max(ceil(2 * ratio / length - 1 - 1e-6), 2)
    starts = np.linspace(0, 1 - length / ratio, count)
    boxes = np.array([[start, 0.0, length / ratio, 1.0] for start in starts], np.float32)
    return boxes if width > height else boxes[:, [1, 0, 3, 2]]


def cut_out(image: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The part of an image ``(h, w, 3)`` in a box of fractions, at least a pixel."""
    height, width = image.shape[:2]
    x, y, w, h = (float(value) for value in box)
    left, top = min(round(x * width), width - 1), min(round(y * height), height - 1)
    right, bottom = max(round((x + w) * width), left + 1), max(round((y + h) * height), top + 1)
    return np.ascontiguousarray(image[top:bottom, left:right])
