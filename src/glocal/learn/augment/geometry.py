"""Crop, turn, tilt and mirror: one homography, so that an image is resampled only once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, slots=True)
class Geometry:
    """Ranges of a random view of an image.

    Crops are mild and perspective is strong: what a second photo of a place or a thing on a wall
    looks like, rather than a detail of it.

    Attributes:
        side: of the square view, in pixels.
        least: smallest share of the image's area in view.
        stretch: largest logarithm of the change of width to height.
        turn: standard deviation of the turn, in radians.
        tilt: how far each corner moves, as a share of the window's side.
        upset: how often the view is turned by a quarter or a half.
        mirror: whether every second view is mirrored.
    """

    side: int
    least: float = 0.4
    stretch: float = 0.25
    turn: float = 0.14
    tilt: float = 0.2
    upset: float = 0.02
    mirror: bool = False

    def __call__(
        self, image: Image.Image, rng: np.random.Generator, strength: float
    ) -> Image.Image:
        """A square view of an RGB image of any size; strength 0 shows all of it, upright."""
        corners = self.window(image.size, rng, strength)
        # Bilinear samples skip pixels of an image that is far larger than the view.
        longest = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1).max()
        coarser = int(longest // (1.5 * self.side))
        if coarser > 1:
            image = image.reduce(coarser)
            corners = corners / coarser
        ground = tuple(int(value) for value in rng.integers(0, 256, 3))
        return image.transform(
            (self.side, self.side),
            Image.Transform.PERSPECTIVE,
            tuple(homography(self.side, corners)),
            Image.Resampling.BILINEAR,
            fillcolor=ground,
        )

    def window(
        self, size: tuple[int, int], rng: np.random.Generator, strength: float
    ) -> NDArray[np.float64]:
        """The ``(4, 2)`` points of an image that become the view's corners, clockwise from top
        left; a few of them may lie outside of it."""
        width, height = size
        share = 1 - min(0.95, strength * (1 - self.least)) * rng.random() ** 1.5
        # Between a square out of a long image and all of it pressed into a square.
        ratio = math.log(width / height) * (1 - min(1.0, strength) * rng.random())
        ratio += strength * self.stretch * rng.uniform(-1, 1)
        wide = min(width, math.sqrt(share * width * height * math.exp(ratio)))
        high = min(height, math.sqrt(share * width * height * math.exp(-ratio)))
        middle = np.array([wide, high]) / 2
        middle += rng.random(2) * (width - wide, height - high)
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (wide / 2, high / 2)
        if rng.random() < 0.7:
            # Outwards as often as inwards: the frame's edges show now and then, as on photos.
            moved = rng.uniform(-0.6, 1, (4, 2)) * strength * self.tilt
            corners = corners * (1 - moved)
        angle = rng.normal(0, self.turn) * strength * (rng.random() < 0.6)
        turned = np.array([(math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))])
        corners = corners @ turned + middle
        if rng.random() < self.upset * strength:
            corners = np.roll(corners, int(rng.integers(1, 4)), axis=0)
        if self.mirror and rng.random() < 0.5:
            corners = corners[[1, 0, 3, 2]]
        return corners


def homography(side: int, corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """The eight numbers by which Pillow finds each point of a square view in the image.

    Args:
        side: of the view, in pixels.
        corners: ``(4, 2)`` points of the image for the view's corners, clockwise from top left.

    Returns:
        ``(8,)``; where the corners lie on one line, the best that can be done.
    """
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * float(side)
    (x, y), (u, v) = square.T, corners.T
    zero, one = np.zeros(4), np.ones(4)
    equations = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=1),
        ]
    )
    numbers: NDArray[np.float64]
    try:
        numbers = np.linalg.solve(equations, np.concatenate([u, v]))
    except np.linalg.LinAlgError:
        numbers = np.linalg.lstsq(equations, np.concatenate([u, v]), rcond=None)[0]
    return numbers
