"""Matches of local features, against loops over all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocal.errors import RankingError
from glocal.ranking.matching import mutual_nearest, mutual_score


def descriptors(rng: np.random.Generator, count: int, dim: int = 8) -> np.ndarray:
    rows = rng.normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def slow_pairs(query: np.ndarray, candidate: np.ndarray, minimum: float) -> set[tuple[int, int]]:
    pairs = set()
    for i, mine in enumerate(query):
        j = max(range(len(candidate)), key=lambda k: float(mine @ candidate[k]))
        back = max(range(len(query)), key=lambda k: float(query[k] @ candidate[j]))
        if back == i and float(mine @ candidate[j]) >= minimum:
            pairs.add((i, j))
    return pairs


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12), st.floats(-1, 1))
def test_matches_are_mutual_nearest_neighbours(seed, m, k, minimum):
    rng = np.random.default_rng(seed)
    query, candidate = descriptors(rng, m), descriptors(rng, k)
    found = mutual_nearest(query, candidate, minimum)
    assert set(zip(found.query, found.candidate, strict=True)) == slow_pairs(
        query, candidate, minimum
    )
    expected = [query[i] @ candidate[j] for i, j in zip(found.query, found.candidate, strict=True)]
    np.testing.assert_allclose(found.similarity, expected, atol=1e-6)
    assert mutual_score(found) == pytest.approx(sum(expected), abs=1e-5)


@pytest.mark.parametrize(("m", "k"), [(0, 3), (3, 0), (0, 0)])
def test_images_without_local_features_have_no_matches(m, k):
    rng = np.random.default_rng(0)
    found = mutual_nearest(descriptors(rng, m), descriptors(rng, k))
    assert len(found) == 0
    assert mutual_score(found) == 0


def test_a_texture_that_repeats_itself_gives_one_match():
    same = np.repeat(descriptors(np.random.default_rng(1), 1), 20, axis=0)
    assert len(mutual_nearest(same, same)) == 1


def test_descriptors_of_two_detectors_are_refused():
    rng = np.random.default_rng(2)
    with pytest.raises(RankingError, match="different models"):
        mutual_nearest(descriptors(rng, 3, 8), descriptors(rng, 3, 16))
