"""B-Attention: compare two images by their similarities to all the others, not by one alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.ranking.checks import checked_count, checked_number, checked_pair, unit_rows
from glocal.ranking.neighbours import nearest


def b_attention(
    query: ArrayLike, candidates: ArrayLike, *, neighbours: int = 50, weight: float = 0.3
) -> NDArray[np.float32]:
    """Blend cosine similarity with the agreement of two images' similarities to their neighbours.

    A vector is a noisy sample of an image, so a single similarity is a single uncertain test. An
    image's similarities to its neighbours are many tests; where two images' rows of them point
    the same way, they are similar. Source: Wang, Zhang, Lin, Wang, Sun, Jin, Robust Graph Structure
    Learning via Multiple Statistical Tests, NeurIPS 2022. The paper learns how the two are put
    together as it trains a graph network; here nothing is trained and the blend is a number.

    Args:
        query: ``(d,)`` vector.
        candidates: ``(m, d)`` vectors, in any order; ``m`` may be 0.
        neighbours: How many neighbours each image is compared by, not counting itself.
        weight: Weight of the cosine similarity, from 0 to 1; the agreement has the rest.

    Returns:
        ``(m,)`` float32 in [-1, 1], higher is better.

    Raises:
        RankingError: Shapes, values or settings do not fit.
    """
    k = checked_count(neighbours, "neighbours")
    cosine = np.float32(checked_number(weight, "weight", 0, 1))
    vector, rows = checked_pair(query, candidates)
    everything = np.vstack([vector[None], rows])
    similar = everything @ everything.T
    tests = unit_rows(np.where(nearest(similar, k + 1), np.maximum(similar, 0), 0))
    scores: NDArray[np.float32] = (1 - cosine) * (tests[1:] @ tests[0]) + cosine * similar[0, 1:]
    return scores
