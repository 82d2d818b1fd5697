"""The whole vectors and regions of one split, made once from its feature maps.

Nothing to run by itself: `regions.py`, `region_settings.py` and `graph_recall.py` use it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from region_maps import Head, Maps, Rows, maps_of, open_model, sets_of, unit
from region_scores import (
    Kind,
    Quality,
    Regions,
    as_bytes,
    best_per_image,
    cover,
    rate,
    regions_of,
)
from region_sets import Split

Numbers = NDArray[np.intp]
QUERY_SIDES = (320, 192, 128)
"""Input sizes of a query's whole vector: 1, .6 and .4 of the usual side."""


@dataclass(frozen=True)
class Stored:
    """Which regions a gallery stores: input size, sizes of windows, and how many regions."""

    name: str
    side: int
    parts: tuple[float, ...]
    count: int


COARSE = Stored("coarse", 320, (1 / 3,), 9)
FINE = Stored("fine", 640, (1 / 3, 1 / 5), 25)


def region_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where images and maps are."""
    parser.add_argument("--images", type=Path, required=True, help="unpacked Debian packages")
    parser.add_argument("--views", type=Path, required=True, help="folders of one thing each")
    parser.add_argument("--work", type=Path, required=True, help="keeps images and maps")


class SplitData:
    """A split with everything that is computed from it.

    Args:
        split: which.
        options: with those of `region_arguments`, and ``quick``.
    """

    def __init__(self, split: Split, options: argparse.Namespace) -> None:
        self.split = split
        self._work: Path = options.work
        self._every = 8 if options.quick else 1
        self.made = sets_of(split, options.images, options.views, options.work, self._every)
        self.gallery: Numbers = np.array(self.made.gallery)
        self.sets = self.made.sets
        self.queries: Numbers = np.array([n for made in self.sets for n in made.queries])
        ends = np.cumsum([0, *(len(made.queries) for made in self.sets)])
        self._spans = [slice(a, b) for a, b in pairwise(ends)]
        self._known: dict[tuple[object, ...], Any] = {}

    @cached_property
    def head(self) -> Head:
        """What follows the feature map in the model."""
        return open_model()[1]

    def maps(self, side: int) -> Maps:
        """The feature maps at this input size; of the gallery alone above 448."""
        numbers = set(self.made.gallery)
        if side <= 448:
            numbers |= {int(number) for number in self.queries}
        cache = self._work / f"{self.split}-{side}{'-quick' if self._every > 1 else ''}.npy"
        return maps_of(self.made, sorted(numbers), side, cache)

    def wholes(self, side: int, numbers: Sequence[int] | Numbers) -> Rows:
        """Vectors ``(n, d)`` of images at an input size."""
        key = ("wholes", side)
        if key not in self._known:
            maps = self.maps(side)
            known = [n for n, shape in enumerate(maps.shapes) if shape[0]]
            at = np.full(len(maps.shapes), -1)
            at[known] = np.arange(len(known))
            self._known[key] = regions_of(maps, self.head, known, (), "pooled")[0], at
        wholes, at = self._known[key]
        found: Rows = wholes[at[np.asarray(numbers)]]
        return found

    def regions(
        self,
        side: int,
        parts: Sequence[float],
        numbers: Sequence[int] | Numbers | None = None,
        kind: Kind = "contributions",
        overlap: float = 0.5,
    ) -> Regions:
        """Regions of images, by default the gallery's, at an input size: all windows."""
        numbers = self.gallery if numbers is None else np.asarray(numbers)
        key = ("regions", side, tuple(parts), numbers.tobytes(), kind, overlap)
        if key not in self._known:
            maps = self.maps(side)
            self._known[key] = regions_of(maps, self.head, numbers, parts, kind, overlap)[1]
        found: Regions = self._known[key]
        return found

    def kept(self, regions: Regions, count: int) -> Regions:
        """The regions that represent all of each image best, as bytes: what is stored."""
        chosen = regions.only(cover(regions, count))
        return chosen.replaced(unit(as_bytes(chosen.rows)))

    def coarse(self, numbers: Numbers | None = None) -> Regions:
        """What ``--regions coarse`` stores of images, by default the gallery's."""
        numbers = self.gallery if numbers is None else numbers
        return self.kept(self.regions(320, COARSE.parts, numbers), COARSE.count)

    def best(self, regions: Regions) -> Rows:
        """Of each query at each size, the most similar region of each image.

        Returns:
            ``(sizes, queries, gallery)``.
        """
        sizes = [self.wholes(side, self.queries) for side in QUERY_SIDES]
        return np.stack([best_per_image(size @ regions.rows.T, regions.first) for size in sizes])

    def rated(self, scores: Rows) -> list[Quality]:
        """How well each set is ranked by scores ``(queries, gallery)``."""
        return [
            rate(made, scores[span], self.gallery)
            for made, span in zip(self.sets, self._spans, strict=True)
        ]

    def rows(self, ways: Mapping[str, Rows]) -> list[tuple[object, ...]]:
        """A table's rows: each set, its number of queries, and each way's figures."""
        rated = [self.rated(scores) for scores in ways.values()]
        return [
            (made.name, len(made.queries), *(one[place].short() for one in rated))
            for place, made in enumerate(self.sets)
        ]
