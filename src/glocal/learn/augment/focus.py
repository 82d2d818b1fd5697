"""Effects of lens and sensor: blur, sharpening, motion, low resolution, noise."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter


def refocused(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Blur an RGB image, shake it, lower its resolution, or sharpen it too much."""
    way = rng.random()
    if way < 0.4:
        # Three boxes would be closer to a Gaussian, but make no difference to learning.
        return image.filter(ImageFilter.BoxBlur(strength * rng.uniform(0.3, 2.2)))
    if way < 0.55:
        return shaken(image, strength * rng.uniform(2, 7), rng)
    if way < 0.85:
        smaller = 1 / (1 + strength * rng.uniform(0.2, 2.2))
        size = (
            max(1, round(image.width * smaller)),
            max(1, round(image.height * smaller)),
        )
        back = Image.Resampling.BILINEAR if rng.random() < 0.8 else Image.Resampling.NEAREST
        return image.resize(size, Image.Resampling.BOX).resize(image.size, back)
    return image.filter(ImageFilter.UnsharpMask(1.5, int(strength * rng.uniform(60, 250)), 0))


def shaken(image: Image.Image, length: float, rng: np.random.Generator) -> Image.Image:
    """Blur along a horizontal or vertical line of a length in pixels."""
    box = (length / 2, 0.0) if rng.random() < 0.5 else (0.0, length / 2)
    return image.filter(ImageFilter.BoxBlur(box))


def noisy(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Add sensor noise of triangular distribution to an RGB image, in grey or in colour."""
    pixels = np.asarray(image)
    depth = 3 if rng.random() < 0.5 else 1
    drawn = rng.integers(0, 256, (2, *pixels.shape[:2], depth), np.uint8)
    # The sum of two even distributions over a byte has a standard deviation of 104.
    width = strength * rng.uniform(2, 16) / 104
    grain = ((drawn[0].astype(np.int16) + drawn[1] - 255) * np.float32(width)).astype(np.int16)
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))
