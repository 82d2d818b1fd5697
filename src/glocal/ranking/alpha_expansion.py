"""Alpha query expansion: average query expansion in which closer candidates weigh more."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.ranking.checks import checked_count, checked_number, checked_pair, unit_rows
from glocal.ranking.neighbours import nearest


def alpha_query_expansion(
    query: ArrayLike, candidates: ArrayLike, *, neighbours: int = 5, alpha: float = 2.0
) -> NDArray[np.float32]:
    """Score candidates against the query plus its nearest, each weighed by similarity^alpha.

    A candidate whose similarity is 0 or less adds nothing, so a query with few relevant images is
    harmed less than by average query expansion. Source: Radenovic, Tolias, Chum, Fine-tuning CNN
    Image Retrieval with No Human Annotation, PAMI 2019.

    Args:
        query: ``(d,)`` vector.
        candidates: ``(m, d)`` vectors, in any order; ``m`` may be 0.
        neighbours: How many candidates join the query.
        alpha: 0 weighs all equally; the higher, the less a distant candidate counts.

    Returns:
        ``(m,)`` float32 in [-1, 1], higher is better.

    Raises:
        RankingError: Shapes, values or settings do not fit.
    """
    k = checked_count(neighbours, "neighbours")
    power = checked_number(alpha, "alpha", 0)
    vector, rows = checked_pair(query, candidates)
    similar = rows @ vector
    joined = nearest(similar[None], k)[0] & (similar > 0)
    expanded = unit_rows((vector + similar[joined] ** power @ rows[joined])[None])[0]
    scores: NDArray[np.float32] = rows @ expanded
    return scores
