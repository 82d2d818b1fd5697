"""Neighbours of images, by all three ways to find them, against a slow reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from glocal.gallery import candidates
from glocal.gallery.candidates import Neighbours
from glocal.gallery.progress import quiet
from glocal.gallery.records import Match


def test_ranks_count_the_nearer_neighbours_of_the_better_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(5)
    count = 60
    vectors = rng.normal(0, 1, (count, 8)).astype(np.float32) + 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[7] = vectors[3]  # equal vectors are no reason to take an image for itself
    ids = [UUID(int=i + 1) for i in range(count)]
    store = _Vectors(dict(zip(ids, vectors, strict=True)))
    neighbours = Neighbours(store, quiet, 5, 0.1)  # type: ignore[arg-type]
    scores = vectors @ vectors.T
    expected: dict[tuple[int, int], int] = {}
    for i in range(count):
        order = sorted((j for j in range(count) if j != i), key=lambda j: (-scores[i, j], j))
        for rank, j in enumerate(order[:5]):
            pair = min(i, j), max(i, j)
            if scores[i, j] >= 0.1:
                expected[pair] = min(rank, expected.get(pair, rank))
    multiplied = neighbours.pairs(ids, None)
    monkeypatch.setattr(candidates, "MOST_MULTIPLIED", 0)
    for found in (multiplied, neighbours.pairs(ids, None), neighbours.pairs(ids, [ids])):
        pairs = [(a, b) for a, b in found.pairs.tolist()]
        assert pairs == sorted(expected)
        assert found.ranks.tolist() == [expected[pair] for pair in pairs]
        assert found.scores == pytest.approx([scores[pair] for pair in pairs], abs=1e-6)


@dataclass
class _Vectors:
    """As much of a store as candidates are found by."""

    known: dict[UUID, NDArray[np.float32]]

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, NDArray[np.float32]]:
        return {i: self.known[i] for i in ids}

    def search(self, vector: NDArray[np.float32], limit: int) -> list[Match]:
        matches = [Match(i, float(each @ vector)) for i, each in self.known.items()]
        return sorted(matches, key=lambda match: -match.score)[:limit]
