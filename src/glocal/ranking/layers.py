"""Small grey images as they are aligned with others: in two sizes, smoothed, freed from contrast.

What one image has in several alignments is made once, when it is asked for (`Layers`). What a step
of many alignments needs is made for all of them at once (`Stack`, `Ragged`): on images of some
thousand pixels a call of numpy takes longer than its arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

WINDOW = 9
"""Pixels of the side of the windows in which brightness and contrast are normalised."""

FLAT = 2.0
"""Grey levels of standard deviation below which a window has no texture."""

Grey = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Layers:
    """An image in all layers in which it is aligned.

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
    def half(self) -> Grey:
        """The image at half the size."""
        return halved(self.image)

    @cached_property
    def coarsest(self) -> Grey:
        """The same, very smooth."""
        return smooth(self.half, 5)

    @cached_property
    def coarse(self) -> Grey:
        """The same, less smooth."""
        return smooth(self.half, 3)


class Stack:
    """Images of one shape, and what follows from them.

    Args:
        images: ``(n, h, w)`` float32 grey.
    """

    def __init__(self, images: Grey) -> None:
        self.images = images

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        _, height, width = self.images.shape
        return height, width

    def only(self, those: Mask) -> Stack:
        """Some of the images."""
        return self if those.all() else Stack(self.images[those])

    @cached_property
    def moments(self) -> tuple[Grey, Grey]:
        """Mean and variance of each window."""
        return moments(self.images)

    @cached_property
    def flattened(self) -> Grey:
        """The images normalised for local brightness and contrast."""
        return flattened(self.images, *self.moments)

    @cached_property
    def slopes(self) -> tuple[Grey, Grey]:
        """Derivatives of the flattened images, downwards and to the right."""
        return slopes(self.flattened)


class Ragged:
    """Images of any shapes, end to end, so that all of them are sampled at once.

    Args:
        images: ``(h, w)`` float32 grey each.
    """

    def __init__(self, images: Sequence[Grey]) -> None:
        self.pixels = np.concatenate([image.ravel() for image in images])
        shapes = np.array([image.shape for image in images])
        ends = np.cumsum(shapes.prod(axis=1))
        self.starts = (ends - shapes.prod(axis=1))[:, None]
        self.rows = shapes[:, 1:]
        self.sizes = shapes[:, ::-1].astype(np.float32)

    def sampled(self, x: Grey, y: Grey, facing: Mask | None = None) -> tuple[Grey, Mask]:
        """Bilinear values at pixels.

        Args:
            x: ``(n, m)``, of each image.
            y: ``(n, m)``.
            facing: ``(n, m)``; where not, nothing is in the image.

        Returns:
            ``(n, m)`` values, any where a pixel is not in the image; and whether it is.
        """
        right, bottom = self.sizes[:, :1] - 1, self.sizes[:, 1:] - 1
        inside = (x >= 0) & (x <= right) & (y >= 0) & (y <= bottom)
        if facing is not None:
            inside &= facing
        if not inside.all():
            x, y = np.where(inside, x, np.float32(0)), np.where(inside, y, np.float32(0))
        left, top = np.floor(x), np.floor(y)
        np.minimum(left, right - 1, out=left)
        np.minimum(top, bottom - 1, out=top)
        fx, fy = x - left, y - top
        top *= self.sizes[:, :1]
        top += left
        at = top.astype(np.intp)
        at += self.starts
        upper, beside = self.pixels.take(at), self.pixels.take(at + 1)
        beside -= upper
        beside *= fx
        upper += beside
        at += self.rows
        lower, beside = self.pixels.take(at), self.pixels.take(at + 1)
        beside -= lower
        beside *= fx
        lower += beside
        lower -= upper
        lower *= fy
        upper += lower
        return upper, inside


def moments(images: Grey) -> tuple[Grey, Grey]:
    """Mean and variance of each window of images ``(..., h, w)``."""
    mean = box(images, WINDOW)
    return mean, np.maximum(box(images * images, WINDOW) - mean * mean, 0)


def flattened(images: Grey, mean: Grey, variance: Grey) -> Grey:
    """Images normalised for the mean and the variance of their windows."""
    return np.asarray((images - mean) / (np.sqrt(variance) + np.float32(FLAT)), np.float32)


def slopes(images: Grey) -> tuple[Grey, Grey]:
    """Derivatives downwards and to the right, in grey levels per pixel, of ``(..., h, w)``."""
    across = np.empty_like(images)
    np.subtract(images[..., 2:], images[..., :-2], out=across[..., 1:-1])
    across[..., 1:-1] *= np.float32(0.5)
    across[..., 0] = images[..., 1] - images[..., 0]
    across[..., -1] = images[..., -1] - images[..., -2]
    down = np.empty_like(images)
    np.subtract(images[..., 2:, :], images[..., :-2, :], out=down[..., 1:-1, :])
    down[..., 1:-1, :] *= np.float32(0.5)
    down[..., 0, :] = images[..., 1, :] - images[..., 0, :]
    down[..., -1, :] = images[..., -1, :] - images[..., -2, :]
    return down, across


def halved(image: Grey) -> Grey:
    """The means of two by two pixels."""
    height, width = (side // 2 * 2 for side in image.shape)
    rows = image[0:height:2, :width] + image[1:height:2, :width]
    return np.asarray((rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.25))


def smooth(image: Grey, window: int) -> Grey:
    """The means of windows, twice."""
    return box(box(image, window), window)


def box(images: Grey, window: int) -> Grey:
    """The mean of each window of ``(..., h, w)``, at the borders with the nearest pixels."""
    height, width = images.shape[-2:]
    return np.asarray(_averaging(height, window) @ images @ _averaging(width, window).T)


@lru_cache(maxsize=256)
def _averaging(size: int, window: int) -> Grey:
    """``(size, size)``: the mean of each window of a line, as a matrix; fast for small images."""
    before, after = (window + 1) // 2 - 1, window // 2
    matrix = np.zeros((size, size), np.float32)
    at = np.arange(size)
    for step in range(-before, after + 1):
        np.add.at(matrix, (at, np.clip(at + step, 0, size - 1)), np.float32(1 / window))
    return matrix
