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

FIRST = 8
"""Candidates of each image among which its copies are looked for; docs/decisions.md has how many
copies are further down."""

MANY = 4
"""First candidates that show the same as an image, copies or not, from which all candidates of it
are looked at."""

MOST_MULTIPLIED = 20_000
"""Images up to which all vectors are multiplied with one another (80 MB); of more, each is
searched."""

LEAST_SCORE = 0.3
"""Cosine similarity below which no pair of vectors is looked at."""

_PAGE = 500


_FOUND = np.dtype([("a", np.int32), ("b", np.int32), ("score", np.float32), ("rank", np.int16)])


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Pairs of images that are neighbours, each once.

    Attributes:
        pairs: ``(m, 2)`` int32, the images by number, the smaller first; sorted.
        scores: ``(m,)`` float32, cosine similarity of their vectors.
        ranks: ``(m,)`` int16, how many neighbours of one of them are nearer than the other, for the
            one of which fewer are.
    """

    pairs: NDArray[np.int32]
    scores: NDArray[np.float32]
    ranks: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.pairs)


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

    def pairs(self, ids: list[UUID], among: Sequence[Sequence[UUID]] | None) -> Candidates:
        """The neighbours of images.

        Args:
            ids: the images.
            among: groups within which alone neighbours are looked for; `None`: everywhere.
        """
        if among is not None:
            nearest = self._within(ids, among)
        else:
            nearest = (self._multiplied if len(ids) <= MOST_MULTIPLIED else self._searched)(ids)
        found = np.fromiter(nearest, _FOUND)
        low, high = np.minimum(found["a"], found["b"]), np.maximum(found["a"], found["b"])
        keys = low.astype(np.int64) * len(ids) + high
        order = np.lexsort((found["rank"], keys))  # of both directions the one that ranks it first
        _, once = np.unique(keys[order], return_index=True)
        chosen = order[once]
        return Candidates(
            np.column_stack([low, high])[chosen], found["score"][chosen], found["rank"][chosen]
        )

    def _multiplied(self, ids: list[UUID]) -> Iterator[tuple[int, int, float, int]]:
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
            scores[np.arange(len(scores)), start + np.arange(len(scores))] = np.inf  # itself, first
            best = np.argpartition(scores, -count, axis=1)[:, -count:]
            values = np.take_along_axis(scores, best, axis=1)
            order = np.argsort(-values, axis=1, kind="stable")
            best = np.take_along_axis(best, order, axis=1)
            values = np.take_along_axis(values, order, axis=1)
            for row, place in np.argwhere(values[:, 1:] >= self.least_score).tolist():
                yield start + row, int(best[row, place + 1]), float(values[row, place + 1]), place
        self.listen(Progress("neighbours", len(ids), len(ids)))

    def _searched(self, ids: list[UUID]) -> Iterator[tuple[int, int, float, int]]:
        """The neighbours of each image by a search, which has a graph where there are many."""
        numbers = {i: number for number, i in enumerate(ids)}
        for start in range(0, len(ids), _PAGE):
            self.listen(Progress("neighbours", start, len(ids)))
            for i, vector in self.store.vectors(ids[start : start + _PAGE]).items():
                found = [each for each in self.store.search(vector, self.count + 1) if each.id != i]
                for rank, match in enumerate(found[: self.count]):
                    if match.id in numbers and match.score >= self.least_score:
                        yield numbers[i], numbers[match.id], match.score, rank
        self.listen(Progress("neighbours", len(ids), len(ids)))

    def _within(
        self, ids: list[UUID], among: Sequence[Sequence[UUID]]
    ) -> Iterator[tuple[int, int, float, int]]:
        """Neighbours within groups: at least those that a search of the whole gallery finds."""
        numbers = {i: number for number, i in enumerate(ids)}
        for done, group in enumerate(among):
            self.listen(Progress("neighbours", done, len(among)))
            known = self.store.vectors(group)
            if len(known) < 2:
                continue
            there, vectors = list(known), np.stack(list(known.values())).astype(np.float32)
            for row, scores in enumerate(vectors @ vectors.T):
                scores[row] = np.inf  # itself, first
                nearest = np.argsort(-scores)[1 : self.count + 1].tolist()
                for rank, column in enumerate(nearest):
                    if scores[column] >= self.least_score:
                        score = float(scores[column])
                        yield numbers[there[row]], numbers[there[column]], score, rank
