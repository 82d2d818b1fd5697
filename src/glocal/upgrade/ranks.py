"""How early queries find their own images: what bridges choose their settings by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.upgrade.vectors import unit_rows

MOST = 1_000
"""More pairs cost more than they say."""


def spread(count: int, most: int = MOST) -> NDArray[np.int64]:
    """At most ``most`` of ``count`` rows, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def mean_reciprocal_rank(queries: NDArray[np.floating], gallery: NDArray[np.floating]) -> float:
    """Mean of 1 / rank at which each query finds the gallery's row of its own number, by cosine.

    Of more than `MOST` pairs, a part is taken. Unlike the mean cosine, which favours maps that
    shrink everything towards the mean, it sees what a search sees.

    Args:
        queries: ``(n, d)``.
        gallery: ``(n, d)``.
    """
    rows = spread(len(queries))
    found, kept = (unit_rows(side[rows].astype(np.float32)) for side in (queries, gallery))
    scores = found @ kept.T
    ranks = (scores >= np.diag(scores)[:, None]).sum(axis=1)
    return float((1 / ranks).mean())
