"""Fits and plausibility of transformations of the plane."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocal.ranking.geometry import (
    explained,
    fit_affine,
    fit_similarity,
    is_plausible,
    project,
    spread,
)

TOLERANCE = 0.02
SQUARE = np.array([(x / 5, y / 5) for x in range(6) for y in range(6)])


def map_of(turn=0.0, scale=1.0, shift=(0.0, 0.0), tilt=(0.0, 0.0)) -> np.ndarray:
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]], [*tilt, 1.0]])


def plausible(homography, points=SQUARE):
    return is_plausible(homography, points, project(homography, points), TOLERANCE)


def test_project_divides_by_depth():
    homography = map_of(0.3, 1.2, (0.1, 0.2), (0.1, -0.05))
    for point, seen in zip(SQUARE, project(homography, SQUARE), strict=True):
        x, y, depth = homography @ [*point, 1]
        np.testing.assert_allclose(seen, [x / depth, y / depth])


@given(st.integers(0, 2**32 - 1))
def test_spread_of_scattered_points_is_the_area_they_are_scattered_over(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (4000, 2)) * (0.5, 0.3)
    assert spread(points) == pytest.approx(0.15, rel=0.1)
    turned = project(map_of(0.7), points)
    assert spread(turned) == pytest.approx(spread(points))


def test_points_on_a_line_or_in_one_place_cover_nothing():
    line = np.column_stack([np.linspace(0, 1, 30), np.linspace(0, 1, 30)])
    assert spread(line) == pytest.approx(0, abs=1e-8)
    assert spread(np.ones((30, 2))) == 0
    assert spread(SQUARE[:2]) == 0


@pytest.mark.parametrize(
    "homography",
    [
        map_of(),
        map_of(np.pi),  # upside down
        map_of(1.5, 0.2),
        map_of(0, 6),
        map_of(0.2, 1, (0.3, 0), (0.3, 0.2)),
        -map_of(0.1),  # the same map, written with the other sign
    ],
)
def test_what_a_camera_can_do_is_plausible(homography):
    assert plausible(homography)


@pytest.mark.parametrize(
    "homography",
    [
        np.diag([-1.0, 1.0, 1.0]),  # a mirror
        map_of(0, 0.1),
        map_of(0, 9),
        map_of(tilt=(-2.0, 0)),  # the horizon crosses the points
        map_of(tilt=(4.0, 0)),
        np.zeros((3, 3)),
        np.full((3, 3), np.nan),
        np.array([[1.0, 0, 0], [1, 0, 0], [0, 0, 1]]),  # all onto one line
    ],
)
def test_what_no_camera_can_do_is_not(homography):
    with np.errstate(all="ignore"):
        assert not plausible(homography)


def test_too_few_points_or_points_on_a_line_prove_nothing():
    assert not plausible(map_of(), SQUARE[:3])
    assert not plausible(map_of(), SQUARE[:6])
    assert not plausible(map_of(), SQUARE * 0.01)


@given(st.floats(-3, 3), st.floats(0.3, 3), st.floats(-1, 1), st.floats(-1, 1))
def test_fits_recover_a_known_similarity(turn, scale, x, y):
    truth = map_of(turn, scale, (x, y))
    seen = project(truth, SQUARE)
    np.testing.assert_allclose(fit_similarity(SQUARE, seen), truth, atol=1e-9)
    np.testing.assert_allclose(fit_affine(SQUARE, seen), truth, atol=1e-9)


def test_an_affine_transformation_is_more_than_a_similarity():
    truth = np.array([[1.5, 0.2, 0.1], [0.0, 0.7, 0.2], [0, 0, 1]])
    seen = project(truth, SQUARE)
    np.testing.assert_allclose(fit_affine(SQUARE, seen), truth, atol=1e-9)
    best = fit_similarity(SQUARE, seen)
    error = np.linalg.norm(project(best, SQUARE) - seen)
    for step in np.random.default_rng(0).normal(0, 0.01, (50, 4)):
        nearby = best + np.array(
            [[step[0], -step[1], step[2]], [step[1], step[0], step[3]], [0, 0, 0]]
        )
        assert np.linalg.norm(project(nearby, SQUARE) - seen) >= error


def test_explained_are_points_within_the_tolerance():
    seen = SQUARE.copy()
    seen[3] += (0.0, 0.03)
    assert explained(np.eye(3), SQUARE, seen, TOLERANCE).tolist() == [i != 3 for i in range(36)]


def test_fits_of_one_place_are_finite():
    heap = np.ones((5, 2))
    assert np.isfinite(fit_similarity(heap, heap)).all()
    assert np.isfinite(fit_affine(heap, heap)).all()
