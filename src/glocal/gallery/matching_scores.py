"""Which similarities of two spaces mean as much as one another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.under_way import Knots

Floats = NDArray[np.float32]
_KNOTS = 64


def matching_scores(old: Floats, new: Floats) -> Knots:
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


def then(first: Knots, second: Knots) -> Knots:
    """Similarities that mean as much, through those of a third space.

    Args:
        first: similarities of one space, and those of the third that mean as much.
        second: similarities of the third space, and those of the last.
    """
    return first[0], tuple(np.interp(first[1], *second).astype(float).tolist())
