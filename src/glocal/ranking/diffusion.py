"""Diffusion: the query's similarity flows along the graph of the candidates' neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.ranking.checks import checked_count, checked_number, checked_pair
from glocal.ranking.neighbours import nearest


def diffusion(
    query: ArrayLike,
    candidates: ArrayLike,
    *,
    neighbours: int = 20,
    sources: int = 3,
    reach: float = 0.8,
    weight: float = 0.01,
) -> NDArray[np.float32]:
    """Rank by the steady state of a flow that starts at the query's nearest candidates.

    Candidates are joined to those that are mutually among their nearest; the flow passes along
    these edges in proportion to affinity and returns to its sources with probability 1 - reach.
    Source: Iscen, Tolias, Avrithis, Furon, Chum, Efficient Diffusion on Region Manifolds, CVPR
    2017 (there reach = 0.99 over the whole database's graph; over the candidates alone that far
    a reach hurt). The linear system is no larger than the candidates are many, so it is solved
    directly as a dense one: at 400 a sparse solver saves nothing.

    Args:
        query: ``(d,)`` vector.
        candidates: ``(m, d)`` vectors, in any order; ``m`` may be 0.
        neighbours: How many neighbours each candidate has in the graph.
        sources: How many of the query's nearest the flow starts from.
        reach: From 0, where only the sources have a score, to less than 1.
        weight: Weight of the cosine similarity; a little of it orders what the flow does not reach.

    Returns:
        ``(m,)`` float32, at most 1, higher is better.

    Raises:
        RankingError: Shapes, values or settings do not fit.
    """
    k = checked_count(neighbours, "neighbours")
    starts = checked_count(sources, "sources")
    passed = np.float32(checked_number(reach, "reach", 0, 0.999))
    cosine = np.float32(checked_number(weight, "weight", 0, 1))
    vector, rows = checked_pair(query, candidates)
    if not len(rows):
        return np.empty(0, np.float32)
    similar = rows @ vector
    affinity = _affinity(rows @ rows.T)
    np.fill_diagonal(affinity, 0)
    near = nearest(affinity, k)
    affinity = np.where(near & near.T, affinity, 0)
    degree = affinity.sum(axis=1)
    scale = 1 / np.sqrt(np.where(degree > 0, degree, 1))
    transition = scale[:, None] * affinity * scale
    source = np.where(nearest(similar[None], starts)[0], _affinity(similar), 0)
    steady = np.linalg.solve(np.eye(len(rows), dtype=np.float32) - passed * transition, source)
    highest = steady.max()
    scores: NDArray[np.float32] = cosine * similar
    if highest > 0:
        scores += (1 - cosine) * steady / highest
    return scores


def _affinity(similar: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cube of the similarity, as in the paper; none where it is negative."""
    positive = np.maximum(similar, 0)
    return positive * positive * positive  # many times as fast as a power
