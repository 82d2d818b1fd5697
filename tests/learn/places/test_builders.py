from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from glocal.learn.places import corridor, groups, render, room, street
from glocal.learn.places.boxes import TEXEL

BUILDERS = (room, corridor, street)


def squares(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    coarse = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return [square.repeat(TEXEL // 8, 0).repeat(TEXEL // 8, 1) for square in coarse]


@pytest.mark.parametrize("build", BUILDERS)
def test_equal_seeds_give_equal_views(build):
    def views() -> list[bytes]:
        rng = np.random.default_rng(7)
        scene = build(squares(4), squares(4), rng)
        places = groups(scene, 2, 2, rng)
        return [render(scene, c, (32, 24)).tobytes() for c in itertools.chain(*places)]

    assert views() == views()


@pytest.mark.parametrize("build", BUILDERS)
def test_cameras_stand_free_and_places_are_distinct(build):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        scene = build(squares(5), squares(5), rng)
        places = groups(scene, 5, 3, rng)
        assert places
        for cameras in places:
            assert len(cameras) == 3
            for camera in cameras:
                inside = [
                    all(lo <= p <= hi for p, lo, hi in zip(camera.position, low, high, strict=True))
                    for low, high in zip(scene.lows, scene.highs, strict=True)
                ]
                assert inside[0]
                assert not any(inside[1:])
                turn = abs(math.remainder(camera.yaw - cameras[0].yaw, 2 * math.pi))
                assert turn <= math.radians(28.1)
        for first, second in itertools.combinations(places, 2):
            turn = abs(math.remainder(first[0].yaw - second[0].yaw, 2 * math.pi))
            far = math.dist(first[0].position[:2], second[0].position[:2])
            assert turn > math.radians(30) or far > 1.0


@pytest.mark.parametrize("build", BUILDERS)
def test_views_of_one_place_are_more_similar_than_views_of_others(build):
    rng = np.random.default_rng(11)
    same, other = [], []
    for _ in range(6):
        scene = build(squares(20), squares(20), rng)
        looks = []
        for cameras in groups(scene, 4, 2, rng):
            for camera in cameras:
                small = render(scene, camera, (8, 6)).astype(float).ravel()
                looks.append((small - small.mean()) / (small.std() + 1e-9))
        likeness = np.array(looks) @ np.array(looks).T / 144
        for i, j in itertools.combinations(range(len(looks)), 2):
            (same if i // 2 == j // 2 else other).append(likeness[i, j])
    assert np.mean(same) > np.mean(other) + 0.05
