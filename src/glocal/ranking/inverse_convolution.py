"""Inverse graph convolution: vectors crowded into a narrow cone are pushed apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import RankingError
from glocal.ranking.checks import checked_number, checked_rows, unit_rows
from glocal.ranking.database_augmentation import BLOCK
from glocal.ranking.neighbours import nearest


def spread_apart(
    vectors: ArrayLike,
    *,
    queries: ArrayLike | None = None,
    gallery_rate: float = 0.1,
    query_rate: float = 0.1,
    share: float = 0.01,
) -> NDArray[np.float32]:
    """Subtract from each vector a little of its nearest, weighed by similarity.

    Made for galleries and queries of different kinds (text, drawings, product images), whose
    vectors lie in cones that few directions tell apart. Where queries are of the gallery's own
    kind it pushes apart what belongs together. Source: Jian and Wang, InvGC: Robust Cross-Modal
    Retrieval by Inverse Graph Convolution, EMNLP 2023, with its LocalAdj (only the nearest share
    of the vectors counts). It compares all vectors with all, so its time grows with the square of
    the gallery.

    Args:
        vectors: ``(n, d)``, the gallery's; ``n`` may be 0.
        queries: ``(r, d)`` vectors of typical queries, such as those of a log; without them only
            neighbours in the gallery are subtracted.
        gallery_rate: How much of the mean of the nearest gallery vectors is subtracted.
        query_rate: How much of the mean of the nearest typical queries is subtracted.
        share: Which share of the vectors counts as nearest, in (0, 1]; at least one does.

    Returns:
        ``(n, d)`` float32 of unit length, in the same order; a vector of zeros stays one.

    Raises:
        RankingError: Shapes, values or settings do not fit.
    """
    from_gallery = np.float32(checked_number(gallery_rate, "gallery_rate", 0))
    from_queries = np.float32(checked_number(query_rate, "query_rate", 0))
    fraction = checked_number(share, "share", 1e-9, 1)
    rows = unit_rows(checked_rows(vectors, "the gallery's vectors"))
    pushed = unit_rows(rows - from_gallery * _pull(rows, rows, fraction, themselves=True))
    if queries is None:
        return pushed
    query_rows = unit_rows(checked_rows(queries, "the typical queries"))
    if len(rows) and len(query_rows) and query_rows.shape[1] != rows.shape[1]:
        raise RankingError(
            f"the gallery's vectors have {rows.shape[1]} numbers and the queries "
            f"{query_rows.shape[1]}: encode the queries with the gallery's model"
        )
    pushed += unit_rows(rows - from_queries * _pull(rows, query_rows, fraction, themselves=False))
    return unit_rows(pushed)


def _pull(
    rows: NDArray[np.float32], others: NDArray[np.float32], share: float, *, themselves: bool
) -> NDArray[np.float32]:
    """Mean of the nearest others of each row, weighed by similarity; none pulls with zeros."""
    pull = np.zeros_like(rows)
    count = len(others) - themselves
    if count < 1:
        return pull
    k = max(1, int(share * count))
    step = max(1, BLOCK // len(others))
    for start in range(0, len(rows), step):
        similar = rows[start : start + step] @ others.T
        ranked = similar.copy()
        if themselves:
            # No similarity is below -1: a vector is not its own neighbour.
            ranked[np.arange(len(ranked)), start + np.arange(len(ranked))] = -2
        near = nearest(ranked, k)
        weights = np.where(near, similar, 0) / near.sum(axis=1, keepdims=True)
        pull[start : start + step] = weights @ others
    return pull
