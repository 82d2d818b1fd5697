"""A small grey image as it is aligned with others: in two sizes, smoothed, freed from contrast.

All of it depends on one image alone, and an image is aligned with many: made once, when it is asked
for, it is shared.
"""

from __future__ import annotations

from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

WINDOW = 9
"""Pixels of the side of the windows in which brightness and contrast are normalised."""

FLAT = 2.0
"""Grey levels of standard deviation below which a window has no texture."""

Grey = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Layer:
    """An image of one size and smoothness, and what follows from it.

    Args:
        image: ``(h, w)`` float32 grey.
    """

    def __init__(self, image: Grey) -> None:
        self.image = image

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.image.shape
        return height, width

    @cached_property
    def flattened(self) -> Grey:
        """The image normalised for local brightness and contrast."""
        mean, variance = self.moments
        return flattened(self.image, mean, variance)

    @cached_property
    def slopes(self) -> tuple[Grey, Grey]:
        """Derivatives of the flattened image, downwards and to the right."""
        return slopes(self.flattened)

    @cached_property
    def power(self) -> Grey:
        """``(h * w,)``: the squared slope of each pixel, which says how much it can tell."""
        down, across = self.slopes
        return np.asarray(down * down + across * across).ravel()

    @cached_property
    def moments(self) -> tuple[Grey, Grey]:
        """Mean and variance of each window."""
        return moments(self.image)


class Layers:
    """An image in all layers in which it is aligned.

    Args:
        image: ``(h, w)`` float32 grey.
    """

    def __init__(self, image: Grey) -> None:
        self.image = image

    @property
    def full(self) -> Layer:
        """The image as it is; not kept, since few images get so far."""
        return Layer(self.image)

    @cached_property
    def half(self) -> Layer:
        """The image at half the size."""
        return Layer(halved(self.image))

    @cached_property
    def coarsest(self) -> Layer:
        """The same, very smooth."""
        return Layer(smooth(self.half.image, 5))

    @cached_property
    def coarse(self) -> Layer:
        """The same, less smooth."""
        return Layer(smooth(self.half.image, 3))


def moments(image: Grey) -> tuple[Grey, Grey]:
    """Mean and variance of each window of an image."""
    mean = box(image, WINDOW)
    return mean, np.maximum(box(image * image, WINDOW) - mean * mean, 0)


def flattened(image: Grey, mean: Grey, variance: Grey) -> Grey:
    """An image normalised for the mean and the variance of its windows."""
    return np.asarray((image - mean) / (np.sqrt(variance) + np.float32(FLAT)), np.float32)


def slopes(image: Grey) -> tuple[Grey, Grey]:
    """Derivatives downwards and to the right, in grey levels per pixel."""
    across = np.empty_like(image)
    np.subtract(image[:, 2:], image[:, :-2], out=across[:, 1:-1])
    across[:, 1:-1] *= np.float32(0.5)
    across[:, 0], across[:, -1] = image[:, 1] - image[:, 0], image[:, -1] - image[:, -2]
    down = np.empty_like(image)
    np.subtract(image[2:], image[:-2], out=down[1:-1])
    down[1:-1] *= np.float32(0.5)
    down[0], down[-1] = image[1] - image[0], image[-1] - image[-2]
    return down, across


def halved(image: Grey) -> Grey:
    """The means of two by two pixels."""
    height, width = (side // 2 * 2 for side in image.shape)
    rows = image[0:height:2, :width] + image[1:height:2, :width]
    return np.asarray((rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.25))


def smooth(image: Grey, window: int) -> Grey:
    """The means of windows, twice."""
    return box(box(image, window), window)


def box(image: Grey, window: int) -> Grey:
    """The mean of each window, at the borders with the nearest pixels."""
    height, width = image.shape
    return np.asarray(_averaging(height, window) @ image @ _averaging(width, window).T)


@lru_cache(maxsize=256)
def _averaging(size: int, window: int) -> Grey:
    """``(size, size)``: the mean of each window of a line, as a matrix; fast for small images."""
    before, after = (window + 1) // 2 - 1, window // 2
    matrix = np.zeros((size, size), np.float32)
    at = np.arange(size)
    for step in range(-before, after + 1):
        np.add.at(matrix, (at, np.clip(at + step, 0, size - 1)), np.float32(1 / window))
    return matrix
