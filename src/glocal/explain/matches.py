"""Matched points of two images, and the outline of one image in the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocal.errors import QueryError

_MOST_LINES = 40  # more would hide the images; the caption gives the full count
_STEPS = 24  # points on a side of the outline, which a homography keeps straight but may flip


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """The verified matches of a query and a hit.

    Attributes:
        query_points: ``(n, 2)``, x and y as fractions of the query's width and height.
        hit_points: ``(n, 2)``, the matching points as fractions of the hit's width and height.
        homography: ``(3, 3)`` from the query to the hit, both in fractions; None where there is
            none.
    """

    query_points: NDArray[np.floating]
    hit_points: NDArray[np.floating]
    homography: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        shapes = self.query_points.shape, self.hit_points.shape
        if shapes[0] != shapes[1] or len(shapes[0]) != 2 or shapes[0][1] != 2:
            raise QueryError(f"matches are two arrays of one shape (n, 2), not {shapes}")
        if self.homography is not None and self.homography.shape != (3, 3):
            raise QueryError(f"a homography is (3, 3), not {self.homography.shape}")

    def shown(self) -> NDArray[np.int64]:
        """Which matches to draw: all, or a selection that is spread over the query."""
        count = len(self.query_points)
        if count <= _MOST_LINES:
            return np.arange(count)
        points = self.query_points.astype(np.float64)
        chosen = [0]  # each next point is the farthest from those chosen
        gaps = np.linalg.norm(points - points[0], axis=1)
        while len(chosen) < _MOST_LINES and gaps.max() > 0:
            chosen.append(int(gaps.argmax()))
            gaps = np.minimum(gaps, np.linalg.norm(points - points[chosen[-1]], axis=1))
        return np.array(sorted(chosen))


def outline(homography: NDArray[np.floating]) -> NDArray[np.float64] | None:
    """The query's frame in the hit, clipped to the hit.

    Args:
        homography: ``(3, 3)`` from the query to the hit, both in fractions.

    Returns:
        ``(n, 2)`` corners in fractions of the hit; None where the frame lies outside the hit, or
        partly behind the camera, so that it has no outline.
    """
    along = np.arange(_STEPS) / _STEPS
    zero, one = np.zeros(_STEPS), np.ones(_STEPS)
    x = np.concatenate([along, one, 1 - along, zero])
    y = np.concatenate([zero, along, one, 1 - along])
    mapped = np.stack([x, y, np.ones_like(x)], axis=1) @ homography.astype(np.float64).T
    depth = mapped[:, 2]
    if not np.isfinite(mapped).all() or (depth * np.sign(depth[0]) <= 1e-9).any():
        return None
    corners = mapped[:, :2] / depth[:, None]
    for axis, sign, limit in ((0, 1, 0.0), (0, -1, -1.0), (1, 1, 0.0), (1, -1, -1.0)):
        corners = _cut(corners, sign * corners[:, axis] - limit)
        if len(corners) < 3:
            return None
    return corners


def _cut(corners: NDArray[np.float64], inside: NDArray[np.float64]) -> NDArray[np.float64]:
    """Clip a polygon to where ``inside``, given at its corners, is at least 0.

    Sutherland and Hodgman (1974), one edge of the window at a time.
    """
    kept = []
    for i in range(len(corners)):
        here, there = inside[i - 1], inside[i]
        if (here >= 0) != (there >= 0):
            kept.append(corners[i - 1] + (corners[i] - corners[i - 1]) * here / (here - there))
        if there >= 0:
            kept.append(corners[i])
    return np.array(kept).reshape(-1, 2)
