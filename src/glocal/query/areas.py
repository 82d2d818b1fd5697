"""Areas of an image as points: boxes and masks in one form, by which relations are described."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import QueryError

Box = tuple[float, float, float, float]
"""X, Y, width and height of an upright image, in fractions of it."""

_ACROSS = 8  # points along each side of a box
_MOST = 100  # points of a mask


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """An area of an image.

    Attributes:
        points: ``(n, 2)`` float64, evenly spread over it: x to the right and y downwards, in any
            unit that is the same along both.
        scale: square root of its extent, in that unit.
    """

    points: NDArray[np.float64]
    scale: float

    @classmethod
    def of_box(cls, box: Box, size: tuple[float, float]) -> Area:
        """The area of a box.

        Args:
            box: in fractions of the image.
            size: width and height of the image, in any unit.

        Raises:
            QueryError: the box has no extent, or numbers that are not finite.
        """
        x, y, width, height = box
        if not np.isfinite(box).all() or width <= 0 or height <= 0 or min(size) <= 0:
            raise QueryError(
                f"the box {box} of an image of {size[0]:g}x{size[1]:g} has no extent; give x, y, "
                "width and height, the latter two above 0"
            )
        steps = (np.arange(_ACROSS) + 0.5) / _ACROSS
        across, down = np.meshgrid((x + width * steps) * size[0], (y + height * steps) * size[1])
        points = np.stack([across.ravel(), down.ravel()], axis=1)
        return cls(points, sqrt(width * size[0] * height * size[1]))

    @classmethod
    def of_mask(cls, mask: ArrayLike) -> Area:
        """The area of a mask.

        Args:
            mask: ``(h, w)`` bool, in pixels of one image.

        Raises:
            QueryError: the mask is not of two dimensions, or empty.
        """
        inside = np.asarray(mask, bool)
        if inside.ndim != 2 or not inside.any():
            raise QueryError(
                f"the mask of shape {inside.shape} has no area; give height x width with pixels set"
            )
        rows, columns = np.nonzero(inside)
        every = np.stack([columns, rows], axis=1).astype(np.float64) + 0.5
        chosen = np.linspace(0, len(every) - 1, min(len(every), _MOST)).round().astype(np.int64)
        return cls(every[_spread(every)][chosen], sqrt(len(every)))


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    low = np.maximum(first[:2], second[:2])
    high = np.minimum(np.add(first[:2], first[2:]), np.add(second[:2], second[2:]))
    both = float(np.prod(np.maximum(high - low, 0)))
    return both / (first[2] * first[3] + second[2] * second[3] - both)


def _spread(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """An order of points in blocks of the plane, of which every n-th point covers all of them."""
    low = points.min(axis=0)
    cell = max(sqrt(len(points) / _MOST), 1.0)
    blocks = np.floor((points - low) / cell).astype(np.int64)
    return np.lexsort((blocks[:, 0], blocks[:, 1]))
