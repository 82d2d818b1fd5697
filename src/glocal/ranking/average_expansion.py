"""Average query expansion: search again with the mean of the query and its best hits."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.ranking.checks import checked_count, checked_pair, unit_rows
from glocal.ranking.neighbours import nearest


def average_query_expansion(
    query: ArrayLike, candidates: ArrayLike, *, neighbours: int = 2
) -> NDArray[np.float32]:
    """Score candidates against the mean of the query and its nearest candidates.

    Source: Chum, Philbin, Sivic, Isard, Zisserman, Total Recall: Automatic Query Expansion with a
    Generative Feature Model for Object Retrieval, ICCV 2007. There the hits that are
    averaged were verified geometrically first; here the nearest are taken unverified, so only few.

    Args:
        query: ``(d,)`` vector.
        candidates: ``(m, d)`` vectors, in any order; ``m`` may be 0.
        neighbours: How many candidates join the query.

    Returns:
        ``(m,)`` float32 in [-1, 1], higher is better.

    Raises:
        RankingError: Shapes, values or settings do not fit.
    """
    k = checked_count(neighbours, "neighbours")
    vector, rows = checked_pair(query, candidates)
    joined = nearest((rows @ vector)[None], k)[0]
    expanded = unit_rows((vector + rows[joined].sum(axis=0))[None])[0]
    scores: NDArray[np.float32] = rows @ expanded
    return scores
