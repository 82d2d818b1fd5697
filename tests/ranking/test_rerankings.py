"""What every re-ranking of the top candidates promises, for each in the registry."""

from __future__ import annotations

import numpy as np
import pytest
import slow_reranking
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.encoders import LocalFeatures
from glocal.errors import GlocalError, PartError, RankingError
from glocal.ranking import TOP, LocalReranking, Reranking, find_reranking
from glocal.ranking.reranking import LOCAL
from glocal.registry import load, names

# A few neighbours, so that the choice of them matters among the few candidates of a test.
SMALL = {
    "aqe": {"neighbours": 3},
    "alpha-qe": {"neighbours": 4, "alpha": 1.5},
    "superglobal": {"neighbours": 3, "weight": 0.7},
    "k-reciprocal": {"neighbours": 5, "smoothing": 3, "weight": 0.2},
    "diffusion": {"neighbours": 4, "sources": 2, "reach": 0.7, "weight": 0.05},
    "b-attention": {"neighbours": 4, "weight": 0.4},
    "dba": {"neighbours": 3, "alpha": 1.5},
    "invgc": {"gallery_rate": 0.4, "share": 0.2},
}
BAD_SETTINGS = {
    "aqe": [{"neighbours": 0}, {"neighbours": 2.5}, {"neighbours": True}],
    "alpha-qe": [{"neighbours": -1}, {"alpha": -1}, {"alpha": float("nan")}],
    "superglobal": [{"neighbours": 0}, {"weight": -0.1}, {"weight": float("inf")}],
    "k-reciprocal": [{"neighbours": 0}, {"smoothing": 0}, {"weight": 1.5}],
    "diffusion": [{"neighbours": 0}, {"sources": 0}, {"reach": 1.0}, {"weight": 2}],
    "b-attention": [{"neighbours": 0}, {"weight": -1}],
    "dba": [{"neighbours": 0}, {"alpha": -1}],
    "invgc": [{"gallery_rate": -1}, {"share": 0}],
}

BY_VECTORS = names("reranker", without=LOCAL)
each_method = pytest.mark.parametrize("name", BY_VECTORS)
# Derandomised: in float32 a pair of random similarities can tie by chance, once in many runs.
properties = settings(max_examples=40, deadline=None, derandomize=True)


def crowd(seed, m, d=16):
    """A query and candidates around a few centres, as the top of a real list is."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(3, d))
    rows = centres[random.integers(0, 3, m)] + 0.7 * random.normal(size=(m, d))
    return (centres[0] + 0.7 * random.normal(size=d)).astype(np.float32), rows.astype(np.float32)


def test_the_tests_cover_the_registry():
    assert set(BY_VECTORS) == set(SMALL) == set(BAD_SETTINGS) == set(slow_reranking.RERANKINGS)
    for name in BY_VECTORS:
        assert find_reranking(name) == Reranking(name, load("reranker", name))


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(PartError, match=r"'superglobel'; did you mean 'superglobal'"):
        find_reranking("superglobel")


@each_method
@properties
@given(seed=st.integers(0, 2**32 - 1), m=st.integers(0, 24))
def test_agrees_with_the_slow_reference(name, seed, m):
    query, rows = crowd(seed, m)
    slow = slow_reranking.RERANKINGS[name](query, rows, **SMALL[name])
    fast = load("reranker", name)(query, rows, **SMALL[name])
    assert fast.dtype == np.float32
    assert fast.shape == (m,)
    np.testing.assert_allclose(fast, slow, atol=2e-5)


@each_method
def test_defaults_agree_with_the_slow_reference(name):
    query, rows = crowd(5, 70)
    slow = slow_reranking.RERANKINGS[name](query, rows)
    np.testing.assert_allclose(load("reranker", name)(query, rows), slow, atol=2e-5)


@each_method
@properties
@given(seed=st.integers(0, 2**32 - 1), m=st.integers(1, 40))
def test_the_order_of_candidates_does_not_matter(name, seed, m):
    query, rows = crowd(seed, m)
    order = np.random.default_rng(seed).permutation(m)
    scores = load("reranker", name)(query, rows, **SMALL[name])
    shuffled = load("reranker", name)(query, rows[order], **SMALL[name])
    np.testing.assert_allclose(shuffled, scores[order], atol=1e-5)


@each_method
@properties
@given(seed=st.integers(0, 2**32 - 1), m=st.integers(1, 12), copies=st.integers(2, 12))
def test_equal_candidates_get_equal_scores(name, seed, m, copies):
    query, rows = crowd(seed, m)
    twin = np.random.default_rng(seed).integers(m)
    rows = np.concatenate([rows, np.repeat(rows[twin, None], copies - 1, axis=0)])
    scores = load("reranker", name)(query, rows, **SMALL[name])
    np.testing.assert_allclose(scores[m:], scores[twin], atol=1e-5)


@each_method
@properties
@given(seed=st.integers(0, 2**32 - 1), lengths=st.floats(1e-20, 1e20))
def test_only_directions_count(name, seed, lengths):
    query, rows = crowd(seed, 15)
    stretch = np.random.default_rng(seed).uniform(0.5, 2, (15, 1))
    scores = load("reranker", name)(query, rows, **SMALL[name])
    stretched = load("reranker", name)(query * lengths, rows * stretch, **SMALL[name])
    np.testing.assert_allclose(stretched, scores, atol=1e-5)


@each_method
def test_a_copy_stays_first_and_the_opposite_is_last(name):
    query, rows = crowd(3, 30)
    rows = np.concatenate([rows, query[None], -query[None]])
    scores = load("reranker", name)(query, rows)
    # Where many are averaged the centre of the crowd may pass the copy, but nothing else does.
    assert scores[30] >= np.sort(scores)[-8]
    assert scores[31] == scores.min()


@each_method
def test_none_one_and_equal_candidates(name):
    rerank = load("reranker", name)
    query, rows = crowd(1, TOP)
    assert rerank(query, rows[:0]).shape == (0,)
    assert np.isfinite(rerank(query, rows[:1])).all()
    assert np.isfinite(rerank(query, rows)).all()
    same = rerank(query, np.repeat(rows[:1], TOP, axis=0))
    np.testing.assert_allclose(same, same[0], atol=1e-5)


@each_method
def test_vectors_of_zeros_are_last_and_harmless(name):
    query, rows = crowd(2, 12)
    rows[4] = 0
    scores = load("reranker", name)(query, rows, **SMALL[name])
    assert np.isfinite(scores).all()
    assert scores[4] < np.max(scores)
    assert np.isfinite(load("reranker", name)(np.zeros_like(query), rows)).all()
    assert np.isfinite(load("reranker", name)(query, np.zeros_like(rows))).all()
    opposite = np.repeat(-query[None], 5, axis=0)
    assert np.isfinite(load("reranker", name)(query, opposite)).all()


@each_method
def test_half_precision_and_lists_are_accepted_and_not_changed(name):
    query, rows = crowd(4, 20)
    half = rows.astype(np.float16)
    kept = half.copy()
    scores = load("reranker", name)(query.tolist(), half, **SMALL[name])
    exact = load("reranker", name)(query, half.astype(np.float64), **SMALL[name])
    np.testing.assert_allclose(scores, exact, atol=1e-5)
    np.testing.assert_array_equal(half, kept)


@each_method
@pytest.mark.parametrize(
    ("query", "candidates", "words"),
    [
        (np.ones(4), np.ones((3, 5)), "query has 4 numbers and each candidate 5"),
        (np.ones((1, 4)), np.ones((3, 4)), r"the query must be one vector.*\(1, 4\)"),
        (np.ones(4), np.ones(4), r"the candidates must be one a row.*\(4,\)"),
        (np.ones(0), np.ones((3, 0)), "the query must be one vector"),
        (np.array([1, np.nan]), np.ones((3, 2)), "the query hold nan at"),
        (np.ones(2), np.array([[1, 1], [1, np.inf]]), r"candidates hold inf at \(1, 1\)"),
        (np.array([1, 1e300]), np.ones((3, 2)), "the query hold 1e"),
        (np.ones(2), [[1, 2], [3]], "not an array of numbers"),
        (np.array(["a", "b"]), np.ones((3, 2)), "must be real numbers"),
    ],
)
def test_what_cannot_be_ranked_is_refused(name, query, candidates, words):
    with pytest.raises(RankingError, match=words) as caught:
        load("reranker", name)(query, candidates)
    assert isinstance(caught.value, GlocalError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("name", "bad"), [(name, bad) for name, all_bad in BAD_SETTINGS.items() for bad in all_bad]
)
def test_impossible_settings_are_refused(name, bad):
    query, rows = crowd(6, 10)
    with pytest.raises(RankingError, match=f"{next(iter(bad))} must be a"):
        load("reranker", name)(query, rows, **bad)


@pytest.mark.parametrize("name", [name for name in BY_VECTORS if name != "invgc"])  # it spreads
def test_neighbours_raise_what_the_query_alone_misses(name):
    """Views of one object, the last less similar to the query than views of two others."""

    def at(degrees, axis):
        row = np.zeros(5)
        row[0], row[axis] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return row

    views = [at(degrees, 1) for degrees in (*range(8, 44, 4), 51)]
    strangers = [at(degrees, axis) for degrees in range(50, 68, 3) for axis in (2, 3)]
    query, rows = at(0, 1), np.array(views + strangers)
    assert rows[9] @ query < rows[10] @ query
    scores = load("reranker", name)(query, rows, neighbours=5)
    assert scores[9] > scores[10:].max()


def test_diffusion_follows_a_chain():
    """Views along an arc, each joined to the next: the far end is at a right angle to the query."""
    angles = np.linspace(0.1, np.pi / 2, 15)
    arc = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    strangers = [[np.cos(0.9), 0, side * np.sin(0.9)] for side in (1, -1)]
    rows = np.concatenate([arc, strangers])
    scores = load("reranker", "diffusion")([1, 0, 0], rows, neighbours=4, reach=0.95)
    assert scores[:15].min() > scores[15:].max()


def local_features(rows):
    unit = np.asarray(rows, np.float32)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True) if len(unit) else unit
    return LocalFeatures(np.zeros((len(unit), 2), np.float32), unit, np.ones(len(unit), np.float32))


@pytest.mark.parametrize("name", names("reranker", trait=LOCAL))
def test_local_features_that_match_score_above_those_that_do_not(name):
    each = find_reranking(name)
    assert isinstance(each, LocalReranking)
    rows = np.random.default_rng(1).normal(size=(30, 48))
    same, half, other = rows + 0.1, np.concatenate([rows[:15], -rows[15:]]), -rows
    query = local_features(rows)
    scores = [each.compare(query, local_features(one)) for one in (same, half, other)]
    assert scores[0] > scores[1] > scores[2]
    assert each.compare(query, local_features(np.empty((0, 48)))) <= scores[2]
    assert np.isfinite(each.compare(local_features(np.empty((0, 48))), local_features(rows)))
