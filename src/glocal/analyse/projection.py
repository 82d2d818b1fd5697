"""How well vectors before and after a projection head find their neighbours.

Source: Xue, Gan, Ni, Joshi and Mirzasoleiman, Investigating the Benefits of Projection Head for
Representation Learning, ICLR 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.analyse.exact import nearest
from glocal.errors import AnalysisError


@dataclass(frozen=True, slots=True)
class ProjectionStudy:
    """What was measured.

    Attributes:
        k: number of neighbours.
        before: share of vectors before the projection whose neighbours vote for their label.
        after: the same after the projection.
        rank_before: effective rank before the projection: the exponential of the entropy of the
            normalised singular values of the centred vectors, at most their length.
        rank_after: after it. A projection that keeps few features has a lower one.
    """

    k: int
    before: float
    after: float
    rank_before: float
    rank_after: float


def study_projection(
    before: ArrayLike, after: ArrayLike, labels: ArrayLike, *, k: int = 5
) -> ProjectionStudy:
    """Compare k-nearest-neighbour accuracy before and after a projection head.

    Each vector is classified by the majority of its ``k`` nearest others; of equally many votes
    the label of the nearer neighbour counts.

    Args:
        before: ``(n, d)``, of any length other than 0.
        after: ``(n, e)``, likewise.
        labels: ``(n,)`` of anything comparable, such as a task other than the trained one.
        k: number of neighbours.

    Raises:
        AnalysisError: The vectors and labels do not fit each other, or are too few.
    """
    first, second = np.asarray(before, np.float32), np.asarray(after, np.float32)
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    if first.ndim != 2 or second.ndim != 2 or not len(first) == len(second) == len(codes) > k >= 1:
        raise AnalysisError(
            f"vectors {first.shape} and {second.shape} with {len(codes)} labels do not fit each "
            f"other or {k} neighbours; give rows (n, d), (n, e) and n labels, more than k"
        )
    return ProjectionStudy(
        k, _accuracy(first, codes, k), _accuracy(second, codes, k), _rank(first), _rank(second)
    )


def _accuracy(rows: NDArray[np.float32], codes: NDArray[np.intp], k: int) -> float:
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
    _, numbers = nearest(unit, unit, k + 1, leave_out_self=True)
    # Each vote weighs more than all later ones by a part of it, which decides between equals only.
    weights = 1 + 0.25 * 0.5 ** np.arange(k)
    votes = np.zeros((len(rows), codes.max() + 1))
    for place, weight in enumerate(weights):
        votes[np.arange(len(rows)), codes[numbers[:, place]]] += weight
    return float((votes.argmax(axis=1) == codes).mean())


def _rank(rows: NDArray[np.float32]) -> float:
    values = np.linalg.svd((rows - rows.mean(axis=0)).astype(np.float64), compute_uv=False)
    shares = values / max(float(values.sum()), 1e-12)
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))
