"""Which frame of an animation shows what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from glocal.images.color import to_srgb

if TYPE_CHECKING:
    from PIL import Image

_ANIMATED = frozenset(("GIF", "WEBP", "PNG", "AVIF"))
_EMPTY = 6.0  # levels of brightness, standard deviation: a frame of one shade, perhaps with noise
_TRIED = (1, 2, 4, 8, 16, 32, 64)
_MOST_PIXELS = 300_000_000  # of all frames that are decoded to choose one


def choose_frame(image: Image.Image, name: str) -> None:
    """Go to the first of some frames that is not empty; animations often begin with black.

    The same file gives the same frame, whether as a query or in a gallery.

    Args:
        image: Opened by Pillow and loaded: its first frame.
        name: Its format.
    """
    frames = int(getattr(image, "n_frames", 1)) if name in _ANIMATED else 1
    if frames < 2 or _spread(image) > _EMPTY:
        return
    pixels = image.width * image.height
    spreads = {0: _spread(image)}
    for number in _TRIED:
        if number >= frames or number * pixels > _MOST_PIXELS:
            break
        try:
            image.seek(number)
            image.load()
        except (EOFError, OSError, ValueError, SyntaxError):
            break
        spreads[number] = _spread(image)
        if spreads[number] > _EMPTY:
            return
    best = max(spreads, key=lambda number: spreads[number])
    image.seek(best)
    image.load()


def _spread(image: Image.Image) -> float:
    """How much a frame's brightness varies, at about 64 pixels a side."""
    factor = max(1, min(image.size) // 64)
    return float(np.std(to_srgb(image, factor).mean(axis=2)))
