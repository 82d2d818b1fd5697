"""Crop, rotate, tilt and mirror by one homography, so that an image is resampled only once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, slots=True)
class Geometry:
    """Ranges of a random view of an image.

    Crops are mild and perspective is strong, as in a second photo of a place or of a thing on a
    wall, rather than a detail of it.

    Attributes:
        side: side of the square view, in pixels.
        least: smallest share of the image's area in view.
        stretch: largest logarithm of the change of aspect ratio.
        turn: standard deviation of the rotation, in radians.
        tilt: largest shift of each corner, as a share of the window's side.
        upset: probability of a rotation by 90, 180 or 270 degrees.
        mirror: whether half of the views are mirrored.
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
        """Take a square view of an RGB image of any size; strength 0 shows all of it, upright."""
        corners = self.window(image.size, rng, strength)
        # Bilinear sampling skips pixels of an image that is much larger than the view.
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
        """Choose the corners of a view: ``(4, 2)`` points of the image, clockwise from top left.

        Some of them may lie outside the image.
        """
        width, height = size
        share = 1 - min(0.95, strength * (1 - self.least)) * rng.random() ** 1.5
        # Between a square crop of a long image and all of it squashed into a square.
        ratio = math.log(width / height) * (1 - min(1.0, strength) * rng.random())
        ratio += strength * self.stretch * rng.uniform(-1, 1)
        wide = min(width, math.sqrt(share * width * height * math.exp(ratio)))
        high = min(height, math.sqrt(share * width * height * math.exp(-ratio)))
        middle = np.array([wide, high]) / 2
        middle += rng.random(2) * (width - wide, height - high)
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (wide / 2, high / 2)
        if rng.random() < 0.7:
            # Corners may move outwards: the edges of a thing show on photos now and then.
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
    """The homography from a square view to the image, as Pillow's eight coefficients.

    Args:
        side: side of the view, in pixels.
        corners: ``(4, 2)`` points of the image for the view's corners, clockwise from top left.

    Returns:
        ``(8,)``; the least-squares solution if the corners lie on one line.
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
