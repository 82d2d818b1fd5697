"""Light and colour: brightness, contrast, saturation, hue, warmth and greyness in one matrix."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LUMA = np.array([0.299, 0.587, 0.114])
_GREY = np.tile(_LUMA, (3, 1))
_AXIS = np.full((3, 3), 1 / 3)
_CROSS = np.array([(0, -1, 1), (1, 0, -1), (-1, 1, 0)]) / math.sqrt(3)


def recoloured(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Change the light and colours of an RGB image, as another camera would."""
    matrix = saturation(1 + strength * rng.uniform(-0.5, 0.5))
    if rng.random() < 0.1 * strength:
        matrix = saturation(0.0)
    if rng.random() < 0.3:
        matrix = hue(strength * rng.normal(0, 0.25)) @ matrix
    warm = strength * rng.normal(0, 0.1)
    matrix = np.array([1 + warm, 1.0, 1 - warm])[:, None] * matrix
    contrast = math.exp(strength * rng.uniform(-0.45, 0.3))
    light = math.exp(strength * rng.uniform(-0.5, 0.35))
    matrix = contrast * light * matrix
    shift = 128 * (1 - contrast) * light
    numbers = np.concatenate([matrix, np.full((3, 1), shift)], axis=1).ravel()
    image = image.convert("RGB", tuple(numbers.tolist()))
    if rng.random() < 0.5:
        image = image.point(gamma(math.exp(strength * rng.uniform(-0.5, 0.5))))
    return image


def saturation(amount: float) -> NDArray[np.float64]:
    """A ``(3, 3)`` colour matrix: 0 makes grey, 1 changes nothing."""
    matrix: NDArray[np.float64] = _GREY + amount * (np.eye(3) - _GREY)
    return matrix


def hue(angle: float) -> NDArray[np.float64]:
    """A ``(3, 3)`` colour matrix that rotates colours about the grey axis by radians."""
    return math.cos(angle) * np.eye(3) + math.sin(angle) * _CROSS + (1 - math.cos(angle)) * _AXIS


def gamma(exponent: float) -> list[int]:
    """A lookup table for three channels that raises brightness in [0, 1] to a power."""
    table = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(int)
    return [int(value) for value in table] * 3
