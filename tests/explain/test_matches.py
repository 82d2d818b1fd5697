"""The outline of a query in a hit, and which matches are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import QueryError
from glocal.explain.matches import Matches, outline


def area(corners: np.ndarray) -> float:
    x, y = corners.T
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def test_the_same_frame_is_the_whole_hit() -> None:
    corners = outline(np.eye(3))
    assert corners is not None
    assert area(corners) == pytest.approx(1)
    mirrored = outline(np.array([[-1, 0, 1], [0, 1, 0], [0, 0, 1.0]]))
    assert mirrored is not None
    assert area(mirrored) == pytest.approx(1)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_an_outline_holds_the_places_that_the_query_maps_to(seed: int) -> None:
    random = np.random.default_rng(seed)
    h = np.eye(3) + random.normal(0, 0.3, (3, 3)) * [[1, 1, 1], [1, 1, 1], [0.5, 0.5, 0]]
    side = (np.arange(60) + 0.5) / 60
    x, y = (grid.ravel() for grid in np.meshgrid(side, side))
    ones = np.ones_like(x)
    corners = outline(h)
    depth = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]]) @ h[2]
    if (depth <= 0).any():
        assert corners is None
        return
    # The obvious way: of points all over the hit, those that come from inside the query.
    back = np.stack([x, y, ones], 1) @ np.linalg.inv(h).T
    source = back[:, :2] / back[:, 2:]
    front = np.stack([source[:, 0], source[:, 1], ones], 1) @ h[2] > 0
    share = float((((source >= 0) & (source <= 1)).all(1) & front).mean())
    if corners is None:
        assert share < 0.01
        return
    assert corners.min() >= -1e-9
    assert corners.max() <= 1 + 1e-9
    assert area(corners) == pytest.approx(share, abs=0.03)


def test_what_lies_outside_or_behind_has_no_outline() -> None:
    assert outline(np.array([[1, 0, 5], [0, 1, 0], [0, 0, 1.0]])) is None
    assert outline(np.array([[1, 0, 0], [0, 1, 0], [-2, 0, 1.0]])) is None
    assert outline(np.full((3, 3), np.nan)) is None
    assert outline(np.zeros((3, 3))) is None


@pytest.mark.parametrize("count", [0, 1, 40, 41, 500])
def test_the_lines_that_are_drawn_are_spread(count: int) -> None:
    points = np.random.default_rng(0).uniform(size=(count, 2)) ** 4  # most in one corner
    shown = Matches(points, points).shown()
    assert len(shown) == min(count, 40)
    assert len(set(shown.tolist())) == len(shown)
    if count == 500:
        far = points[shown].max(axis=0)
        assert (far >= np.quantile(points, 0.99, axis=0)).all()


def test_many_matches_at_one_place_are_drawn_once() -> None:
    points = np.full((100, 2), 0.5)
    assert Matches(points, points).shown().tolist() == [0]


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(QueryError, match=r"one shape \(n, 2\)"):
        Matches(np.zeros((3, 2)), np.zeros((2, 2)))
    with pytest.raises(QueryError, match=r"\(3, 3\)"):
        Matches(np.zeros((3, 2)), np.zeros((3, 2)), np.eye(2))
