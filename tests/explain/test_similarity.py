"""The decomposition of a similarity against loops over all pairs of cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import QueryError
from glocal.explain.similarity import decompose, point_weights, region_weights

sides = st.integers(1, 6)
fractions = st.floats(0, 1)


def contributions(seed: int, rows: int, columns: int, dim: int = 8) -> np.ndarray:
    """Terms of either sign that add up to a unit vector."""
    terms = np.random.default_rng(seed).normal(size=(rows, columns, dim))
    return (terms / np.linalg.norm(terms.sum((0, 1)))).astype(np.float32)


@settings(deadline=None)
@given(st.integers(0, 1000), sides, sides, sides, sides)
def test_pairs_of_regions_add_up_to_the_score(
    seed: int, h1: int, w1: int, h2: int, w2: int
) -> None:
    query, hit = contributions(seed, h1, w1), contributions(seed + 1, h2, w2)
    got = decompose(query, hit)
    cosine = float(query.sum((0, 1)) @ hit.sum((0, 1)))
    scale = max(1.0, float(np.abs(got.table).sum()))  # terms may be large and cancel out
    assert got.table.shape == (h1, w1, h2, w2)
    for total in (got.score, got.table.sum(), got.query_map.sum(), got.hit_map.sum()):
        assert total == pytest.approx(cosine, abs=1e-4 * scale)
    for i, j, k, m in np.ndindex(got.table.shape):
        assert got.table[i, j, k, m] == pytest.approx(query[i, j] @ hit[k, m], abs=1e-5 * scale)
    for i, j in np.ndindex(h1, w1):
        assert got.query_map[i, j] == pytest.approx(got.table[i, j].sum(), abs=1e-5 * scale)
    for k, m in np.ndindex(h2, w2):
        assert got.hit_map[k, m] == pytest.approx(got.table[:, :, k, m].sum(), abs=1e-5 * scale)


@settings(deadline=None)
@given(st.integers(0, 1000), sides, sides)
def test_the_halves_of_a_query_share_the_hits_map(seed: int, rows: int, columns: int) -> None:
    got = decompose(contributions(seed, rows, columns), contributions(seed + 1, 3, 4))
    cut = 0.37
    left = got.map_for(region_weights((0, 0, cut, 1), (rows, columns)))
    right = got.map_for(region_weights((cut, 0, 1 - cut, 1), (rows, columns)))
    scale = max(1.0, float(np.abs(got.table).sum()))
    np.testing.assert_allclose(left + right, got.hit_map, atol=1e-5 * scale)


def test_a_region_matches_where_the_same_object_is() -> None:
    query, hit = np.zeros((3, 3, 4), np.float32), np.zeros((2, 5, 4), np.float32)
    query[0, 2, 1] = query[2, 0, 3] = 0.7
    hit[1, 4, 1] = hit[0, 0, 3] = 0.7
    answer = decompose(query, hit).map_for(point_weights((5 / 6, 1 / 6), (3, 3)))
    assert np.unravel_index(answer.argmax(), answer.shape) == (1, 4)
    assert np.count_nonzero(answer) == 1


@settings(deadline=None)
@given(fractions, fractions, sides, sides)
def test_weights_of_a_point_are_bilinear(x: float, y: float, rows: int, columns: int) -> None:
    weights = point_weights((x, y), (rows, columns))
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    assert (weights >= 0).all()
    centres = (np.arange(columns) + 0.5) / columns
    wanted = min(max(x, centres[0]), centres[-1])  # beyond the outermost centres, those
    assert weights.sum(0) @ centres == pytest.approx(wanted, abs=1e-5)
    assert np.count_nonzero(weights > 1e-6) <= 4


def test_weights_of_a_region_are_the_covered_shares_of_cells() -> None:
    got = region_weights((0.25, 0.0, 0.5, 0.75), (2, 2))
    np.testing.assert_allclose(got, [[0.5, 0.5], [0.25, 0.25]])
    np.testing.assert_allclose(region_weights((0, 0, 1, 1), (3, 5)), np.ones((3, 5)), atol=1e-6)


def test_places_outside_are_refused() -> None:
    with pytest.raises(QueryError, match=r"point 1\.5,0"):
        point_weights((1.5, 0), (3, 3))
    with pytest.raises(QueryError, match="covers nothing"):
        region_weights((1.5, 0, 0.2, 1), (3, 3))
