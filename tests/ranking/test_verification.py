import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from glocal.encoders import LocalFeatures
from glocal.ranking.geometry import project
from glocal.ranking.verification import MAX_MATCHES, Settings, verify

SETTINGS = Settings(min_similarity=0.5, tolerance=0.02)
SQUARE = (400, 400)


def parts_at(keypoints: np.ndarray, seed: int, dim: int = 32) -> LocalFeatures:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(len(keypoints), dim)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return LocalFeatures(keypoints.astype(np.float32), rows, np.ones(len(keypoints), np.float32))


def moved(parts: LocalFeatures, keypoints: np.ndarray) -> LocalFeatures:
    return LocalFeatures(keypoints.astype(np.float32), parts.descriptors, parts.scores)


def scattered(seed: int, count: int = 60) -> LocalFeatures:
    return parts_at(np.random.default_rng(seed).uniform(0.05, 0.95, (count, 2)), seed)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(-0.5, 0.5),
    st.floats(0.4, 1.2),
    st.floats(-0.25, 0.25),
    st.integers(0, 30),
)
@example(0, -0.5, 1.0436555876112283, 0.25, 30)  # these failed while wrong matches agreed
@example(256, 0.0, 0.7497353464545755, 0.0, 30)
def test_a_known_homography_is_found_among_wrong_matches(seed, turn, scale, tilt, wrong):
    # Not the stream that `scattered` draws from: its numbers again would be the query's own points
    # scaled by 1 / 0.9, a second homography that explains as much when half the matches are wrong.
    rng = np.random.default_rng([seed, 1])
    query = scattered(seed)
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    truth = np.array([[c, -s, 0.2], [s, c, 0.1], [tilt, -tilt / 2, 1]])
    seen = project(truth, query.keypoints.astype(float))
    right = np.arange(60) >= wrong
    seen[~right] = rng.uniform(0, 1, (wrong, 2))
    found = verify(query, moved(query, seen), SQUARE, SQUARE, SETTINGS)
    assert found.matches == 60
    assert found.homography is not None
    assert found.inliers >= right.sum() * 0.9
    assert found.inliers <= right.sum() + 6  # a wrong match may lie well by chance
    errors = project(found.homography, query.keypoints.astype(float)) - project(
        truth, query.keypoints.astype(float)
    )
    assert np.median(np.linalg.norm(errors, axis=1)) < 0.02
    again = verify(query, moved(query, seen), SQUARE, SQUARE, SETTINGS)
    assert again.inliers == found.inliers
    np.testing.assert_array_equal(again.homography, found.homography)


def test_numbers_of_a_perfect_match():
    query = scattered(3)
    found = verify(query, query, (640, 480), (640, 480), SETTINGS)
    assert (found.matches, found.inliers) == (60, 60)
    assert found.support == pytest.approx(60, abs=1e-3)
    assert found.agreement == 1
    assert 0.6 < found.coverage <= 1
    np.testing.assert_allclose(found.homography / found.homography[2, 2], np.eye(3), atol=1e-6)
    np.testing.assert_array_equal(found.query_points, found.candidate_points)


def test_shapes_of_images_are_allowed_for():
    """A turn by a right angle exchanges width and height."""
    query = scattered(4)
    turned = np.column_stack([1 - query.keypoints[:, 1], query.keypoints[:, 0]])
    found = verify(query, moved(query, turned), (800, 400), (400, 800), SETTINGS)
    assert found.inliers == 60
    np.testing.assert_allclose(
        found.homography / found.homography[2, 2],
        [[0, -1, 1], [1, 0, 0], [0, 0, 1]],
        atol=1e-5,
    )


def test_a_part_of_a_image_covers_the_query_and_agrees_where_it_lies():
    query = scattered(5)
    in_corner = query.keypoints * 0.4 + 0.5
    elsewhere = parts_at(np.random.default_rng(6).uniform(0, 0.45, (80, 2)), 6)
    candidate = LocalFeatures(
        np.concatenate([in_corner, elsewhere.keypoints]),
        np.concatenate([query.descriptors, elsewhere.descriptors]),
        np.ones(140, np.float32),
    )
    found = verify(query, candidate, SQUARE, SQUARE, SETTINGS)
    assert found.inliers == 60
    assert found.agreement > 0.95
    assert found.coverage > 0.6
    back = verify(candidate, query, SQUARE, SQUARE, SETTINGS)
    assert back.inliers == 60
    assert back.coverage < 0.25


def test_matches_without_order_are_not_explained():
    counts = []
    for seed in range(20):
        query = scattered(seed)
        shuffled = np.random.default_rng(seed + 1000).permutation(query.keypoints)
        counts.append(verify(query, moved(query, shuffled), SQUARE, SQUARE, SETTINGS).inliers)
    assert max(counts) <= 9


@pytest.mark.parametrize("shape", ["none", "few", "line", "heap", "mirror"])
def test_what_proves_nothing_has_no_map(shape):
    query = scattered(7)
    keypoints = query.keypoints.astype(float)
    seen = keypoints.copy()
    if shape == "none":
        query = parts_at(np.empty((0, 2)), 0)
        seen = np.empty((0, 2))
    if shape == "few":
        query = LocalFeatures(query.keypoints[:4], query.descriptors[:4], query.scores[:4])
        seen = seen[:4]
    if shape == "line":
        keypoints[:, 1] = 0.5
        query, seen = moved(query, keypoints), keypoints
    if shape == "heap":
        seen = 0.5 + keypoints * 1e-3
    if shape == "mirror":
        seen[:, 0] = 1 - seen[:, 0]
    found = verify(query, moved(query, seen), SQUARE, SQUARE, SETTINGS)
    assert found.homography is None or (shape == "mirror" and found.inliers <= 9)
    if found.homography is None:
        assert (found.inliers, found.support, found.coverage, found.agreement) == (0, 0, 0, 0)
        assert found.query_points.shape == found.candidate_points.shape == (0, 2)


def test_a_fence_that_could_lie_anywhere_gives_no_proof():
    grid = np.array([(x / 11, y / 11) for x in range(12) for y in range(12)])
    one = np.repeat(parts_at(grid[:1], 8).descriptors, 144, axis=0)
    fence = LocalFeatures(grid.astype(np.float32), one, np.ones(144, np.float32))
    assert verify(fence, fence, SQUARE, SQUARE, SETTINGS).homography is None


def test_time_is_bounded_by_the_best_matches():
    query = scattered(9, 900)
    found = verify(query, query, SQUARE, SQUARE, SETTINGS)
    assert found.matches == MAX_MATCHES
