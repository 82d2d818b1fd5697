"""Uneven light over an image: a lamp or window at one side, a reflection, a shadow."""

from __future__ import annotations

import numpy as np
from PIL import Image


def lit_unevenly(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Light an RGB image softly from one side, or add a bright or dark spot."""
    if rng.random() < 0.6:
        field = 1 + strength * rng.uniform(-0.55, 0.3, (2, 2))
    else:
        field = np.ones((5, 5))
        row, column = rng.integers(0, 5, 2)
        field[row, column] += strength * rng.uniform(-0.6, 0.9)
    # 128 means unchanged light, so that a byte can also make it lighter.
    coarse = Image.fromarray(np.clip(128 * field, 0, 255).astype(np.uint8))
    light = np.asarray(coarse.resize(image.size, Image.Resampling.BICUBIC), np.uint16)
    pixels = np.asarray(image, np.uint16) * light[:, :, None] >> 7
    return Image.fromarray(np.minimum(pixels, 255).astype(np.uint8))
