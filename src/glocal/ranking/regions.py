"""One score of an image's vector and of its regions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REGION_WEIGHT = 0.5
"""How much regions count against whole vectors; chosen on images that have no part in evaluations
(docs/decisions.md)."""


def blend(
    whole: NDArray[np.float32],
    similar: NDArray[np.float32],
    base: NDArray[np.float32],
    margin: float,
) -> NDArray[np.float32]:
    """One score for each image, to order by.

    It is the whole vector's, plus the mean of the best regions at the query's sizes, plus what the
    best of these has beyond the whole vector: parts that many things share, such as the lettering
    of a brand, do not bring an image up that as a whole is unlike the query, and an image in which
    the query is small comes up.

    Args:
        whole: ``(n,)`` similarities of the images' vectors to the query's.
        similar: ``(n, m, r)`` similarities of the query, at ``m`` sizes, to the images' regions.
        base: ``(n,)`` scores that stand for the whole vectors in the order, such as those of a
            re-ranking.
        margin: how much more similar than the whole image a region has to be to count on its own.
    """
    best = similar.max(axis=2)
    beyond = np.maximum(best.max(axis=1) - whole - margin, 0)
    return np.asarray(base + REGION_WEIGHT * (best.mean(axis=1) + beyond), np.float32)


def blend_without_regions(
    whole: NDArray[np.float32], base: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The same for images that have no regions: their vectors stand in for these."""
    return np.asarray(base + REGION_WEIGHT * whole, np.float32)
