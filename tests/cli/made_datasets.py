"""Images of one shade each, and an encoder for which shades are angles.

The nearer two shades, the more alike the images: rankings can be read off the numbers.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glocal.encoders import Card, Features


class ShadeEncoder:
    """Turns the mean shade s of an image, from 0 to 255, into the angle 90° · s / 255."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(b"a model's file")
        self.path = self.encodes = path
        self.dim = 2
        self.card = Card("shade", 3, "CC0-1.0", 2, 64, 8, 2.0, {})
        self.encoded = 0
        self.stop_at: int | None = None
        self._lock = threading.Lock()

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> list[Features]:
        with self._lock:
            if self.encoded == self.stop_at:
                raise KeyboardInterrupt
            self.encoded += len(images)
        return [self._features(image) for image in images]

    def _features(self, image: NDArray[np.uint8]) -> Features:
        angle = np.pi / 2 * float(image.mean()) / 255
        none = np.empty((0, 2), np.float32)
        vector = np.asarray([np.cos(angle), np.sin(angle)], np.float32)
        return Features(vector, none, none, np.empty(0, np.float32))


def shade(path: Path, *shades: int) -> Path:
    """An image with a vertical stripe, 8 wide and 16 high, of each shade; PNG whatever its name.

    Making it makes its folder too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    row = np.repeat(np.asarray(shades, np.uint8), 8)
    Image.fromarray(np.tile(row[None, :, None], (16, 1, 3))).save(path, "PNG")
    return path
