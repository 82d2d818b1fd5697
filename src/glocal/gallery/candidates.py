"""Which pairs of images are worth a comparison: each image's nearest neighbours by vector.

Up to `MOST_MULTIPLIED` images all vectors are compared, which grows with the square of their number
and takes seconds; of more, each is searched for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.progress import Progress
from glocal.gallery.stores.base import Store

NEIGHBOURS = 20
"""Candidates of each image; a copy is nearly always among the first few."""

MOST_MULTIPLIED = 20_000
"""Images up to which all vectors are multiplied with one another (80 MB); of more, each is
searched."""

LEAST_SCORE = 0.3
"""Cosine similarity below which no pair of vectors is looked at."""

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Nearest neighbours by vector.

    Args:
        store: of the vectors.
        listen: told the progress: stage ``neighbours``.
        count: neighbours of each image.
        least_score: cosine similarity that a neighbour has at least.
    """

    store: Store
    listen: Callable[[Progress], None]
    count: int = NEIGHBOURS
    least_score: float = LEAST_SCORE

    def pairs(
        self, ids: list[UUID], among: Sequence[Sequence[UUID]] | None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Neighbours by number, ``(m, 2)``, each pair once, sorted; and their similarities."""
        if among is not None:
            nearest = self._within(ids, among)
        else:
            nearest = (self._multiplied if len(ids) <= MOST_MULTIPLIED else self._searched)(ids)
        found = np.fromiter(nearest, [("a", np.int32), ("b", np.int32), ("s", np.float32)])
        low, high = np.minimum(found["a"], found["b"]), np.maximum(found["a"], found["b"])
        _, once = np.unique(low.astype(np.int64) * len(ids) + high, return_index=True)
        return np.column_stack([low, high])[once], found["s"][once]

    def _multiplied(self, ids: list[UUID]) -> Iterator[tuple[int, int, float]]:
        """The neighbours of each image, of all vectors at once: a tenth of the time of searches."""
        vectors: NDArray[np.float32] | None = None
        for start in range(0, len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            known = self.store.vectors(page)
            for number, i in enumerate(page, start):
                if i in known:  # of others zeros stand, which are like nothing
                    if vectors is None:
                        vectors = np.zeros((len(ids), len(known[i])), np.float32)
                    vectors[number] = known[i]
        if vectors is None:
            return
        count = min(self.count + 1, len(ids))
        for start in range(0, len(ids), _PAGE):
            self.listen(Progress("neighbours", start, len(ids)))
            scores = vectors[start : start + _PAGE] @ vectors.T
            best = np.argpartition(scores, -count, axis=1)[:, -count:]
            values = np.take_along_axis(scores, best, axis=1)
            for row, place in np.argwhere(values >= self.least_score).tolist():
                if (other := int(best[row, place])) != start + row:
                    yield start + row, other, float(values[row, place])
        self.listen(Progress("neighbours", len(ids), len(ids)))

    def _searched(self, ids: list[UUID]) -> Iterator[tuple[int, int, float]]:
        """The neighbours of each image by a search, which has a graph where there are many."""
        numbers = {i: number for number, i in enumerate(ids)}
        for start in range(0, len(ids), _PAGE):
            self.listen(Progress("neighbours", start, len(ids)))
            for i, vector in self.store.vectors(ids[start : start + _PAGE]).items():
                for match in self.store.search(vector, self.count + 1):
                    if match.id != i and match.id in numbers and match.score >= self.least_score:
                        yield numbers[i], numbers[match.id], match.score
        self.listen(Progress("neighbours", len(ids), len(ids)))

    def _within(
        self, ids: list[UUID], among: Sequence[Sequence[UUID]]
    ) -> Iterator[tuple[int, int, float]]:
        """Neighbours within groups: at least those that a search of the whole gallery finds."""
        numbers = {i: number for number, i in enumerate(ids)}
        for done, group in enumerate(among):
            self.listen(Progress("neighbours", done, len(among)))
            known = self.store.vectors(group)
            if len(known) < 2:
                continue
            there, vectors = list(known), np.stack(list(known.values())).astype(np.float32)
            for row, scores in enumerate(vectors @ vectors.T):
                for column in np.argsort(-scores)[: self.count + 1].tolist():
                    if column != row and scores[column] >= self.least_score:
                        yield numbers[there[row]], numbers[there[column]], float(scores[column])
