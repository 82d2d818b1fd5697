from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocal.evaluate import nearest as module
from glocal.evaluate.nearest import nearest


def slow(queries: np.ndarray, gallery: np.ndarray, depth: int) -> list[list[int]]:
    """Every pair compared by itself, ties by index."""
    lists = []
    for query in queries:
        scores = [
            (-float(query @ item), index)
            for index, item in enumerate(gallery)
            if not np.isnan(item).any()
        ]
        lists.append([] if np.isnan(query).any() else [i for _, i in sorted(scores)][:depth])
    return lists


@given(
    seed=st.integers(0, 10_000),
    queries=st.integers(1, 7),
    items=st.integers(1, 12),
    depth=st.integers(1, 15),
    block=st.sampled_from([1, 64, 1 << 20]),
)
def test_ranking_equals_comparing_each_pair(
    seed: int, queries: int, items: int, depth: int, block: int
) -> None:
    rng = np.random.default_rng(seed)
    # distinct whole numbers in one of two directions: products are exact and do not tie
    values = rng.permutation(items) + 1
    gallery = np.stack([values, -values], axis=1).astype(np.float32)
    asked = np.where(rng.random(queries) < 0.5, 1, 0)
    rows = np.stack([asked, 1 - asked], axis=1).astype(np.float32)
    gallery[rng.random(items) < 0.2] = np.nan
    rows[rng.random(queries) < 0.2] = np.nan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_BYTES", block)
        ranks, scores = nearest(rows, gallery, depth)
    assert ranks.shape == scores.shape == (queries, min(depth, items))
    expected = slow(rows, gallery, depth)
    assert [row[row >= 0].tolist() for row in ranks] == expected
    assert np.array_equal(ranks < 0, np.isnan(scores))
    for query, row in enumerate(expected):
        assert scores[query, : len(row)].tolist() == [float(rows[query] @ gallery[i]) for i in row]


def test_ties_are_ordered_by_index() -> None:
    gallery = np.ones((5, 2), np.float32)
    ranks, _ = nearest(np.ones((1, 2), np.float32), gallery, 5)
    assert ranks.tolist() == [[0, 1, 2, 3, 4]]


def test_unreadable_images_have_no_neighbours() -> None:
    missing = np.full((3, 2), np.nan, np.float32)
    ranks, scores = nearest(np.ones((2, 2), np.float32), missing, 2)
    assert (ranks == -1).all()
    assert np.isnan(scores).all()
