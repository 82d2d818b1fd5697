"""SuperGlobal re-ranking: query and candidates each refined by their own neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.ranking.checks import checked_count, checked_number, checked_pair, unit_rows
from glocal.ranking.neighbours import nearest


def superglobal(
    query: ArrayLike, candidates: ArrayLike, *, neighbours: int = 5, weight: float = 0.5
) -> NDArray[np.float32]:
    """Mean of two scores of refined candidates: for the query, and for the refined query.

    Each candidate is moved towards its nearest fellow candidates, each weighed by ``weight`` times
    its similarity. The query is moved towards its nearest refined candidates. Source: Shao, Chen,
    Karpur, Cui, Araujo, Cao, Global Features are All You Need for Image Retrieval and Reranking,
    ICCV 2023. The paper pools the query's neighbours by their maximum in each dimension, which
    suits features that are never negative. Vectors that were whitened have both signs, so here
    the query and the mean of its neighbours are added, and refined vectors have unit length.

    Args:
        query: ``(d,)`` vector.
        candidates: ``(m, d)`` vectors, in any order; ``m`` may be 0.
        neighbours: How many refine each vector, not counting itself.
        weight: Weight of a neighbour relative to the vector itself, 0 or more.

    Returns:
        ``(m,)`` float32 in [-1, 1], higher is better.

    Raises:
        RankingError: Shapes, values or settings do not fit.
    """
    k = checked_count(neighbours, "neighbours")
    beta = np.float32(checked_number(weight, "weight", 0))
    vector, rows = checked_pair(query, candidates)
    if not len(rows):
        return np.empty(0, np.float32)
    similar = rows @ rows.T
    # k + 1, since each is its own nearest.
    weights = np.where(nearest(similar, k + 1), beta * np.maximum(similar, 0), 0)
    np.fill_diagonal(weights, 1)
    refined = unit_rows(weights @ rows)
    for_query = refined @ vector
    pooled = unit_rows(refined[nearest(for_query[None], k + 1)[0]].mean(axis=0)[None])[0]
    for_refined = refined @ unit_rows((vector + pooled)[None])[0]
    scores: NDArray[np.float32] = (for_query + for_refined) / 2
    return scores
