"""Which regions of two images are most alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.regions import Regions

PAIRS = 3
"""Pairs that are found by default."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class RegionPair:
    """A region of a query and one of a hit.

    Attributes:
        similarity: cosine similarity of their vectors, in [-1, 1].
        query_box: x, y, width and height of the query's region, as fractions of the query.
        hit_box: x, y, width and height of the hit's region, as fractions of the hit.
    """

    similarity: float
    query_box: Box
    hit_box: Box


def best_pairs(query: Regions, hit: Regions, count: int = PAIRS) -> list[RegionPair]:
    """Pairs of regions from the most similar on, each region in one pair at most."""
    similar = query.vectors @ hit.vectors.T
    found = []
    for _ in range(min(count, *similar.shape)):
        at, there = (int(n) for n in np.unravel_index(int(np.argmax(similar)), similar.shape))
        found.append(
            RegionPair(float(similar[at, there]), _box(query.boxes[at]), _box(hit.boxes[there]))
        )
        similar[at], similar[:, there] = -np.inf, -np.inf
    return found


def _box(box: NDArray[np.float32]) -> Box:
    x, y, width, height = (round(float(value), 4) for value in box)
    return x, y, width, height
