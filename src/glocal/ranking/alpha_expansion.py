"""Alpha query expansion: as average query expansion, but closer answers weigh more."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.ranking.checks import checked_count, checked_number, checked_pair, unit_rows
from glocal.ranking.neighbours import nearest


def alpha_query_expansion(
    query: ArrayLike, candidates: ArrayLike, *, neighbours: int = 5, alpha: float = 2.0
) -> NDArray[np.float32]:
    """Score candidates against the query plus its nearest, each weighed by similarity^alpha.

    An answer at a right angle to the query, or beyond, adds nothing, so there is less harm than in
    average query expansion where a query has few right answers. Source: Radenovic, Tolias, Chum,
    Fine-tuning CNN Image Retrieval with No Human Annotation, PAMI 2019.

    Args:
        query: ``(d,)`` vector.
        candidates: ``(m, d)`` vectors, in any order; ``m`` may be 0.
        neighbours: how many answers join the query.
        alpha: 0 weighs all alike; the higher, the less a distant answer counts.

    Returns:
        ``(m,)`` float32 in [-1, 1], higher is better.

    Raises:
        RankingError: shapes, values or settings do not fit.
    """
    k = checked_count(neighbours, "neighbours")
    power = checked_number(alpha, "alpha", 0)
    vector, rows = checked_pair(query, candidates)
    similar = rows @ vector
    joined = nearest(similar[None], k)[0] & (similar > 0)
    expanded = unit_rows((vector + similar[joined] ** power @ rows[joined])[None])[0]
    scores: NDArray[np.float32] = rows @ expanded
    return scores
