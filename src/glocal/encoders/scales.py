"""What a model makes of one image at several scales, brought together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def mean_vector(vectors: Sequence[Array]) -> Array:
    """The mean of vectors ``(d,)`` of unit length, at unit length."""
    total = np.sum(vectors, axis=0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-12), np.float32)


def mean_grid(grids: Sequence[Array]) -> Array:
    """What each cell contributes to the mean of vectors, of the contributions to each.

    Args:
        grids: ``(rows, columns, d)`` float32 each, over the whole image; their sums over rows and
            columns are unit vectors.

    Returns:
        A grid as the first. A cell of another gives to each cell of this one in proportion to how
        much of its area lies there, so that nothing is lost, and the sum is `mean_vector`.
    """
    total = grids[0].copy()
    for grid in grids[1:]:
        total += _shared_out(_shared_out(grid, total.shape[0], 0), total.shape[1], 1)
    return np.asarray(total / max(float(np.linalg.norm(total.sum((0, 1)))), 1e-12), np.float32)


def _shared_out(grid: Array, wanted: int, axis: int) -> Array:
    """A grid with so many equal parts along an axis.

    By sums of few: matrix products would start threads in each of those that encode, and take
    longer than the network.
    """
    given = np.moveaxis(grid, axis, 0)
    shares = _overlaps(len(given), wanted)
    parts = [
        sum(shares[to, of] * given[of] for of in np.flatnonzero(shares[to])) for to in range(wanted)
    ]
    return np.moveaxis(np.stack(parts), 0, axis)


def _overlaps(given: int, wanted: int) -> Array:
    """``(wanted, given)``: the share of each of the equal parts of a line in other ones of it."""
    ends = np.arange(wanted)[:, None] / wanted, np.arange(1, wanted + 1)[:, None] / wanted
    begins = np.arange(given)[None] / given
    inside = np.minimum(ends[1], begins + 1 / given) - np.maximum(ends[0], begins)
    return np.asarray(inside.clip(min=0) * given, np.float32)
