"""k-reciprocal re-ranking: similar images are among each other's neighbours and share them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.ranking.checks import checked_count, checked_number, checked_pair
from glocal.ranking.neighbours import nearest

_SHARED = 2 / 3
"""Share of a neighbour's own reciprocal set that must be in the set it would join (the paper's)."""


def k_reciprocal(
    query: ArrayLike,
    candidates: ArrayLike,
    *,
    neighbours: int = 40,
    smoothing: int = 6,
    weight: float = 0.5,
) -> NDArray[np.float32]:
    """Blend cosine similarity with the overlap of weighted k-reciprocal neighbour sets.

    Each image's set holds those that are among its k nearest and have it among theirs, plus the
    half as large sets of members that mostly lie in it already. A member weighs
    exp(-squared distance); weights are averaged over the nearest few images, and two sets are
    compared by the generalised Jaccard index. Source: Zhong, Zheng, Cao, Li, Re-ranking Person
    Re-identification with k-reciprocal Encoding, CVPR 2017 (there k = 20, 6 and 0.3). Unit vectors
    need none of its scaling of distances.

    Args:
        query: ``(d,)`` vector.
        candidates: ``(m, d)`` vectors, in any order; ``m`` may be 0.
        neighbours: Size of the lists of nearest neighbours, not counting the image itself.
        smoothing: Number of images, itself included, over which weights are averaged; 1 is none.
        weight: Weight of the cosine similarity, from 0 to 1; the overlap has the rest.

    Returns:
        ``(m,)`` float32 in [-1, 1], higher is better.

    Raises:
        RankingError: Shapes, values or settings do not fit.
    """
    k = checked_count(neighbours, "neighbours")
    few = checked_count(smoothing, "smoothing")
    cosine = np.float32(checked_number(weight, "weight", 0, 1))
    vector, rows = checked_pair(query, candidates)
    everything = np.vstack([vector[None], rows])
    similar = everything @ everything.T
    members = _expanded(_reciprocal(similar, k), _reciprocal(similar, (k + 1) // 2))
    weights = np.where(members, np.exp(2 * (similar - 1)), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    if few > 1:
        over = nearest(similar, few).astype(np.float32)
        weights = (over @ weights) / over.sum(axis=1, keepdims=True)
    # Outside the query's own set nothing overlaps.
    own = np.flatnonzero(weights[0])
    shared = np.minimum(weights[0, own], weights[1:, own]).sum(axis=1)
    # Each row sums to 1, so the union of two is 2 less what they share.
    scores: NDArray[np.float32] = (1 - cosine) * shared / (2 - shared) + cosine * similar[0, 1:]
    return scores


def _reciprocal(similar: NDArray[np.float32], k: int) -> NDArray[np.bool_]:
    """Pairs that are among each other's k nearest; each image is with itself."""
    near = nearest(similar, k + 1)
    pairs: NDArray[np.bool_] = near & near.T
    return pairs


def _expanded(full: NDArray[np.bool_], half: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Each full set, joined by the half-sized sets of members that mostly lie in it."""
    halves = half.astype(np.float32)
    inside = full.astype(np.float32) @ halves  # half is symmetric
    joining = full & (inside >= np.float32(_SHARED) * halves.sum(axis=1) - np.float32(1e-3))
    reached = joining.astype(np.float32) @ halves
    grown: NDArray[np.bool_] = full | (reached > 0)
    return grown
