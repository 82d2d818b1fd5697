"""Comparisons of two images, for a person who looks at both: computed once and kept a while."""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.comparing import PairComparison
from glocal.ranking.pixels import Box
from glocal.web.results import PairResult

_MOST = 500
_MOST_SHARE = 0.5
"""Part that differs beyond which rectangles say nothing: the images show different things."""

_MOST_DRIFT = 8.0
"""Pixels of drift beyond which the images do not lie on one another."""


class PairCache:
    """The last comparisons; the content of an id never changes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[UUID, UUID], PairResult] = OrderedDict()

    def get(self, first: UUID, second: UUID) -> PairResult | None:
        """A comparison that is kept."""
        found = self._kept.get((first, second))
        if found is not None:
            self._kept.move_to_end((first, second))
        return found

    def put(self, first: UUID, second: UUID, result: PairResult) -> None:
        """Keep a comparison."""
        self._kept[first, second] = result
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)


def pair_result(found: PairComparison) -> PairResult:
    """A comparison as clients get it."""
    evidence, comparison = found.evidence, found.comparison
    if comparison is None or comparison.drift > _MOST_DRIFT:
        return PairResult(evidence, None if evidence is None else evidence.homography)
    rows = tuple(_row(row) for row in comparison.homography)
    first: tuple[Box, ...] = ()
    second: tuple[Box, ...] = ()
    if comparison.share <= _MOST_SHARE:
        first, second = comparison.differing, comparison.turned().differing
    return PairResult(evidence, rows, first, second, comparison.share)


def _row(row: NDArray[np.float64]) -> tuple[float, float, float]:
    a, b, c = (float(value) for value in row)
    return a, b, c
