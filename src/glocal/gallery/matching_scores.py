"""Which similarities of two spaces mean as much as one another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_KNOTS = 64


def matching_scores(old: Floats, new: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Similarities in the old space, rising, and those in the new one that are as rare.

    The same pairs of images are compared in both spaces, without labels: a similarity that one
    pair of a thousand reaches in one space means as much as the one that one of a thousand reaches
    in the other.

    Args:
        old: ``(n, n)`` similarities of queries to old vectors of the same ``n`` images.
        new: ``(n, n)`` similarities of the same pairs in the new space.

    Returns:
        Two lists of equally many numbers; between them similarities follow straight lines. Those of
        an image to itself end them.
    """
    if len(old) < 3:
        return (-1.0, 1.0), (-1.0, 1.0)
    others = ~np.eye(len(old), dtype=bool)
    # Denser where it matters: among the most similar of all pairs.
    tail = np.geomspace(1, 1 / others.sum(), _KNOTS)
    shares = 1 - tail
    before, after = (np.quantile(scores[others], shares) for scores in (old, new))
    before = np.append(before, max(float(np.median(np.diag(old))), before[-1] + 1e-3))
    after = np.append(after, max(float(np.median(np.diag(new))), after[-1] + 1e-3))
    rising = np.concatenate([[True], np.diff(before) > 1e-6])
    before, after = before[rising], np.maximum.accumulate(after[rising])
    return tuple(before.astype(float).tolist()), tuple(after.astype(float).tolist())
