"""The exact nearest neighbours, by comparing everything with everything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 24
"""How many similarities are held at once: 64 MB of float32."""


def nearest(
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    count: int,
    *,
    leave_out_self: bool = False,
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """The most similar vectors of each query.

    Args:
        vectors: ``(n, d)``.
        queries: ``(q, d)``.
        count: how many, at most ``n``; one more than wanted when ``leave_out_self``.
        leave_out_self: the queries are the vectors: of row i, vector i is left out.

    Returns:
        Dot products, ``(q, count)`` descending, and the vectors' numbers; without one column
        when ``leave_out_self``.
    """
    kept = count - 1 if leave_out_self else count
    similarities = np.empty((len(queries), kept), np.float32)
    numbers = np.empty((len(queries), kept), np.intp)
    step = max(1, _BLOCK // len(vectors))
    for start in range(0, len(queries), step):
        block = queries[start : start + step] @ vectors.T
        if leave_out_self:
            at = np.arange(len(block))
            block[at, start + at] = -np.inf
        part = np.argpartition(-block, kept - 1, axis=1)[:, :kept]
        values = np.take_along_axis(block, part, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        numbers[start : start + step] = np.take_along_axis(part, order, axis=1)
        similarities[start : start + step] = np.take_along_axis(values, order, axis=1)
    return similarities, numbers
