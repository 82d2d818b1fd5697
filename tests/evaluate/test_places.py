"""Place recognition against a loop over all pairs, and distances against known ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import EvaluationError
from glocal.evaluate import evaluate_places, metres_between, places


def slow(ranks, queries, gallery, radius, ks):
    firsts = []
    for row, (x, y) in zip(ranks, queries, strict=True):
        right = {
            j
            for j, (gx, gy) in enumerate(gallery)
            if math.sqrt((gx - x) ** 2 + (gy - y) ** 2) <= radius
        }
        if not right:
            firsts.append(-1)
            continue
        found = [rank for rank, j in enumerate(row, start=1) if j in right]
        firsts.append(found[0] if found else 0)
    counted = [first for first in firsts if first >= 0]
    recall = {
        k: sum(1 <= first <= k for first in counted) / len(counted) if counted else math.nan
        for k in ks
    }
    return firsts, recall


points = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=8)


@settings(deadline=None)
@given(st.data(), points, points, st.sampled_from([1.0, 5.0, 2.5]), st.integers(1, 300))
def test_result_equals_the_slow_loop_for_any_block_size(
    data, queries, gallery, radius, block_bytes
):
    order = st.permutations(range(len(gallery)))
    ranks = [[j if data.draw(st.integers(0, 7)) else -1 for j in data.draw(order)] for _ in queries]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "BLOCK_BYTES", block_bytes)
        result = evaluate_places(
            np.array(ranks, dtype=np.int64).reshape(len(queries), len(gallery)),
            np.array(queries, dtype=float).reshape(-1, 2),
            np.array(gallery, dtype=float).reshape(-1, 2),
            coordinates="utm",
            radius=radius,
            ks=(1, 2, 5),
        )
    firsts, recall = slow(ranks, queries, gallery, radius, (1, 2, 5))
    assert result.first_right_rank.tolist() == firsts
    assert result.recall_at == pytest.approx(recall, nan_ok=True)
    assert result.without_place == firsts.count(-1)
    assert result.queries == len(firsts) - firsts.count(-1)


def test_result_equals_a_calculation_by_hand():
    gallery = [[0.0, 0.0], [30.0, 0.0], [500_000.0, 5_000_000.0]]
    queries = [[25.0, 0.0], [100.0, 0.0], [500_015.0, 5_000_020.0]]
    # the first is 25 m from place 0 and 5 m from place 1; the second is near nothing; the third is
    # exactly 25 m (15, 20) from place 2
    ranks = [[2, 0, 1], [0, 1, 2], [0, 1, 2]]
    result = evaluate_places(ranks, queries, gallery, coordinates="utm", ks=(1, 2, 3))
    assert result.first_right_rank.tolist() == [2, -1, 3]
    assert result.recall_at == {1: 0.0, 2: 0.5, 3: 1.0}
    assert (result.queries, result.without_place) == (2, 1)


def test_single_precision_positions_are_measured_in_double():
    # float32 has steps of 0.5 m here; 24.5 m apart before rounding stays within 25 m
    gallery = np.array([[500_000.0, 5_000_000.0]], dtype=np.float32)
    queries = np.array([[500_000.0, 5_000_024.5]], dtype=np.float32)
    result = evaluate_places([[0]], queries, gallery, coordinates="utm", radius=24.5, ks=(1,))
    assert result.recall_at[1] == 1.0


@pytest.mark.parametrize(
    ("one", "other", "metres"),
    [
        # a quarter of a meridian, half an equator, and one degree of longitude at 60 degrees north
        ((0, 0), (90, 0), math.pi / 2 * 6_371_008.8),
        ((0, 0), (0, 180), math.pi * 6_371_008.8),
        ((0, 179.9), (0, -179.9), math.radians(0.2) * 6_371_008.8),
        ((60, 10), (60, 11), 55_596.8),
        # Paris to London, 343.6 km on the sphere
        ((48.8566, 2.3522), (51.5074, -0.1278), 343_556.5),
        ((51.5, -0.1), (51.5, -0.1), 0.0),
    ],
)
def test_distances_on_the_globe(one, other, metres):
    distance = metres_between(np.array(one, dtype=float), np.array(other, dtype=float), "latlon")
    assert distance == pytest.approx(metres, rel=1e-4, abs=1e-6)


@given(
    st.floats(-89, 89), st.floats(-179, 179), st.floats(-1e-3, 1e-3), st.floats(-1e-3, 1e-3)
)  # fmt: skip
def test_small_distances_equal_those_on_a_plane(latitude, longitude, north, east):
    there = np.array([latitude + north, longitude + east])
    here = np.array([latitude, longitude])
    degree = math.radians(1) * 6_371_008.8
    middle = math.radians(latitude + north / 2)
    flat = math.hypot(north * degree, east * degree * math.cos(middle))
    assert metres_between(here, there, "latlon") == pytest.approx(flat, rel=1e-4, abs=1e-3)


def test_latitude_and_longitude_give_the_same_result():
    # 0.0002 degrees of latitude are 22 m, of longitude at 60 degrees north 11 m
    gallery = [[60.0, 10.0], [60.0003, 10.0]]
    queries = [[60.0002, 10.0], [60.0, 10.0004]]
    result = evaluate_places(
        [[0, 1], [1, 0]], queries, gallery, coordinates="latlon", radius=23, ks=(1, 2)
    )
    assert result.first_right_rank.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"radius": 0}, "positive number of metres"),
        ({"radius": math.nan}, "positive number of metres"),
        ({"coordinates": "wgs84"}, "'utm' or 'latlon'"),
        ({"ks": (1, 3)}, "recall@3 needs 3 answers"),
        ({"query_positions": [[math.nan, 0.0]]}, "query positions hold nan"),
        ({"gallery_positions": [[0.0, 0.0, 0.0]]}, "gallery positions have shape"),
        ({"query_positions": [[91.0, 0.0]], "coordinates": "latlon"}, "latitude first"),
        ({"query_positions": [[2.0, 181.0]], "coordinates": "latlon"}, "row 0"),
        ({"ranks": [[0, 3]]}, "image 3 of a gallery of 3"),
        ({"ranks": [[1, 1]]}, "twice"),
    ],
)
def test_invalid_arguments_are_refused(changes, says):
    arguments = {
        "ranks": [[0, 1]],
        "query_positions": [[0.0, 0.0]],
        "gallery_positions": [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]],
        "coordinates": "utm",
        "ks": (1, 2),
        **changes,
    }
    with pytest.raises(EvaluationError, match=says):
        evaluate_places(**arguments)
