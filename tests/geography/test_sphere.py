"""Distances, middles and clusters are what is obvious, also across the date line and at poles."""

from __future__ import annotations

import numpy as np
import pytest

from glocal.geography.clusters import clusters
from glocal.geography.sphere import (
    EARTH_RADIUS_KM,
    FARTHEST_KM,
    distances_km,
    middle,
    position_of,
    unit_vectors,
)

ANY = np.random.default_rng(0)
PLACES = np.stack([ANY.uniform(-90, 90, 50), ANY.uniform(-180, 180, 50)], 1)


def test_distances_are_the_angles_between_directions() -> None:
    vectors = unit_vectors(PLACES)
    for place, vector in zip(PLACES[:10], vectors, strict=False):
        slow = [EARTH_RADIUS_KM * np.arccos(np.clip(vector @ other, -1, 1)) for other in vectors]
        assert distances_km(place, PLACES) == pytest.approx(slow, abs=0.2)
    assert distances_km((90, 0), [(-90, 77)]) == pytest.approx([FARTHEST_KM])
    assert distances_km((48.8566, 2.3522), [(51.5074, -0.1278)]) == pytest.approx([343.6], abs=0.5)


def test_positions_and_directions_are_each_others_inverse() -> None:
    for place, vector in zip(PLACES, unit_vectors(PLACES), strict=True):
        assert position_of(3 * vector) == pytest.approx(tuple(place))


def test_a_middle_is_found_across_the_date_line_and_at_a_pole() -> None:
    assert middle([(0, 179), (0, -177)], [1, 1]) == pytest.approx((0, -179))
    assert middle([(80, 0), (80, 180)], [1, 1])[0] == pytest.approx(90)
    assert middle([(0, 0), (0, 180)], [2, 2]) == pytest.approx((0, 0))  # they cancel out


def test_clusters_part_what_is_far_apart_and_join_across_the_date_line() -> None:
    places = [(10, 179.99), (10, -179.99), (10.01, 180), (50, 8), (50.001, 8), (-30, 8)]
    found = clusters(places, [1, 1, 1, 1, 0.5, 0.1], 25)
    assert [set(each.members) for each in found] == [{0, 1, 2}, {3, 4}, {5}]
    assert found[0].weight == 3
    assert abs(found[0].longitude) > 179.99
    assert found[1].members == (3, 4)  # the heaviest first
    assert found[1].radius_km < 0.12
    assert found[2].radius_km < 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_every_position_is_in_one_cluster_and_within_reach_of_its_middle(seed: int) -> None:
    random = np.random.default_rng(seed)
    places = random.normal(0, 0.4, (40, 2)) + random.integers(-2, 3, (40, 2))
    weights = random.uniform(0.1, 1, 40)
    found = clusters(places, weights, 60)
    assert sorted(row for each in found for row in each.members) == list(range(40))
    for each in found:
        # The seed reaches so far from a member, the middle from there on no farther.
        away = distances_km((each.latitude, each.longitude), places[list(each.members)])
        assert away.max() <= 120
        assert weights[list(each.members)][away <= each.radius_km + 1e-9].sum() >= (
            0.9 * each.weight - 1e-9
        )
