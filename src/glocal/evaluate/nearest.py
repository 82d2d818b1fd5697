"""Exact nearest neighbours for evaluation, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.evaluate.checks import EMPTY_SLOT

BLOCK_BYTES = 64 << 20
"""Memory for similarities: queries are processed in blocks that fit."""


def nearest(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], depth: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rank the gallery for each query by dot product, down to a depth.

    A row of nan stands for an image that could not be read: as a query it has no answers, in the
    gallery it is never an answer. Equal similarities are ordered by gallery index, but if a list
    is cut among equal ones, any of them may be kept.

    Args:
        queries: ``(q, d)``, rows of unit length or of nan.
        gallery: ``(n, d)``, rows of unit length or of nan.
        depth: number of answers per query, at least 1.

    Returns:
        Gallery indices ``(q, min(depth, n))`` int64, best first, and their similarities, float32;
        `EMPTY_SLOT` and nan if there is no answer.
    """
    shape = (len(queries), min(depth, len(gallery)))
    ranks = np.full(shape, EMPTY_SLOT, dtype=np.int64)
    similarities = np.full(shape, np.nan, dtype=np.float32)
    there = np.flatnonzero(~np.isnan(gallery[:, 0]))
    asking = np.flatnonzero(~np.isnan(queries[:, 0]))
    known = gallery if there.size == len(gallery) else gallery[there]
    reach = min(depth, there.size)
    if reach == 0:
        return ranks, similarities
    rows = max(1, BLOCK_BYTES // (there.size * known.itemsize))
    for begin in range(0, asking.size, rows):
        block = asking[begin : begin + rows]
        products = queries[block] @ known.T
        if reach < there.size:
            # argpartition puts the best at the end, unordered, and leaves the order of ties open
            best = np.sort(np.argpartition(products, -reach, axis=1)[:, -reach:], axis=1)
            products = np.take_along_axis(products, best, axis=1)
            order = np.argsort(-products, axis=1, kind="stable")
            best = np.take_along_axis(best, order, axis=1)
        else:
            best = order = np.argsort(-products, axis=1, kind="stable")
        ranks[block, :reach] = there[best]
        similarities[block, :reach] = np.take_along_axis(products, order, axis=1)
    return ranks, similarities
