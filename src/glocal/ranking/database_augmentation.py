"""Database-side augmentation: each stored vector is joined by its neighbours, before any query."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.ranking.checks import checked_count, checked_number, checked_rows, unit_rows
from glocal.ranking.neighbours import nearest

BLOCK = 1 << 24
"""How many similarities are held at once: 64 MB of float32, whatever the gallery's size."""


def augment_database(
    vectors: ArrayLike, *, neighbours: int = 5, alpha: float = 3.0
) -> NDArray[np.float32]:
    """Replace each vector by the sum of itself and its nearest, weighed by similarity^alpha.

    Sources: Turcot and Lowe, Better Matching with Fewer Features, ICCV workshops 2009; Arandjelovic
    and Zisserman, Three Things Everyone Should Know to Improve Object Retrieval, CVPR 2012; the
    weights are alpha query expansion's (Radenovic et al. 2019). It compares all vectors with all,
    so its time grows with the square of the gallery, and an added image changes its neighbours'
    vectors: keep the originals.

    Args:
        vectors: ``(n, d)``; ``n`` may be 0.
        neighbours: How many join each vector, not counting itself.
        alpha: 0 weighs all equally; the higher, the less a distant one counts.

    Returns:
        ``(n, d)`` float32 of unit length, in the same order; a vector of zeros stays one.

    Raises:
        RankingError: Shapes, values or settings do not fit.
    """
    k = checked_count(neighbours, "neighbours")
    power = np.float32(checked_number(alpha, "alpha", 0))
    rows = unit_rows(checked_rows(vectors, "the gallery's vectors"))
    augmented = np.empty_like(rows)
    step = max(1, BLOCK // max(1, len(rows)))
    for start in range(0, len(rows), step):
        similar = rows[start : start + step] @ rows.T
        near = nearest(similar, k + 1) & (similar > 0)
        weights = np.zeros_like(similar)
        weights[near] = similar[near] ** power
        augmented[start : start + step] = weights @ rows
    return unit_rows(augmented)
