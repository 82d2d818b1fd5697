"""Exact nearest neighbours for judging: every gallery item is compared, in bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.evaluate.checks import EMPTY_SLOT

BLOCK_BYTES = 64 << 20
"""Similarities are held for as many queries at a time as fit in this."""


def nearest(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], depth: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rank the gallery for each query by dot product, as deep as asked.

    A row of nan stands for an image that could not be read: as a query it has no answers, in the
    gallery it is nobody's answer. Equal similarities go by gallery index, except that which of
    them make the last rank of a list cut short is left open.

    Args:
        queries: ``(q, d)`` rows of unit length, or of nan.
        gallery: ``(n, d)`` likewise.
        depth: how many answers a query gets, at least 1.

    Returns:
        Gallery indices ``(q, min(depth, n))`` int64, best first, `EMPTY_SLOT` where there is no
        answer; and their similarities, float32, nan where there is none.
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
            # argpartition leaves the best at the end, in no order, and the order of ties open
            best = np.sort(np.argpartition(products, -reach, axis=1)[:, -reach:], axis=1)
            products = np.take_along_axis(products, best, axis=1)
            order = np.argsort(-products, axis=1, kind="stable")
            best = np.take_along_axis(best, order, axis=1)
        else:
            best = order = np.argsort(-products, axis=1, kind="stable")
        ranks[block, :reach] = there[best]
        similarities[block, :reach] = np.take_along_axis(products, order, axis=1)
    return ranks, similarities
