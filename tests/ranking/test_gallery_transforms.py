"""What every transform of a whole gallery promises, for each in the registry."""

from __future__ import annotations

import numpy as np
import pytest
import slow_reranking
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import PartError, RankingError
from glocal.ranking import database_augmentation, inverse_convolution
from glocal.ranking.inverse_convolution import spread_apart
from glocal.registry import load, names

SMALL = {
    "dba": {"neighbours": 3, "alpha": 1.5},
    "invgc": {"gallery_rate": 0.4, "share": 0.2},
}
BAD_SETTINGS = {
    "dba": [{"neighbours": 0}, {"alpha": -1}],
    "invgc": [{"gallery_rate": -1}, {"query_rate": float("nan")}, {"share": 0}, {"share": 1.5}],
}

each_method = pytest.mark.parametrize("name", names("transform"))
properties = settings(max_examples=40, deadline=None, derandomize=True)


def crowd(seed, n, d=12):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(3, d))
    rows = centres[random.integers(0, 3, n)] + 0.7 * random.normal(size=(n, d))
    return rows.astype(np.float32)


def test_the_tests_cover_the_registry():
    assert set(names("transform")) == set(SMALL) == set(BAD_SETTINGS)
    assert set(names("transform")) == set(slow_reranking.GALLERY_TRANSFORMS)
    with pytest.raises(PartError, match=r"no transform named 'x'.*dba"):
        load("transform", "x")


@each_method
@properties
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 24))
def test_agrees_with_the_slow_reference(name, seed, n):
    rows = crowd(seed, n)
    fast = load("transform", name)(rows, **SMALL[name])
    slow = slow_reranking.GALLERY_TRANSFORMS[name](rows, **SMALL[name])
    assert fast.dtype == np.float32
    np.testing.assert_allclose(fast, np.reshape(slow, rows.shape), atol=2e-5)


@each_method
def test_defaults_agree_with_the_slow_reference(name):
    rows = crowd(5, 60)
    slow = slow_reranking.GALLERY_TRANSFORMS[name](rows)
    np.testing.assert_allclose(load("transform", name)(rows), slow, atol=2e-5)


def test_dissimilar_vectors_never_join_even_with_equal_weights():
    rows = crowd(10, 8)
    augment = load("transform", "dba")
    slow = slow_reranking.dba(rows, neighbours=6, alpha=0)
    np.testing.assert_allclose(augment(rows, neighbours=6, alpha=0), slow, atol=2e-5)
    opposed = np.array([[1.0, 0], [-1, 0]])
    np.testing.assert_array_equal(augment(opposed, alpha=0), opposed)


def test_the_whole_gallery_can_push():
    rows = crowd(11, 12)
    slow = slow_reranking.invgc(rows, share=1.0, gallery_rate=0.5)
    np.testing.assert_allclose(spread_apart(rows, share=1.0, gallery_rate=0.5), slow, atol=2e-5)


@properties
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 20), asked=st.integers(0, 20))
def test_typical_queries_push_as_in_the_slow_reference(seed, n, asked):
    rows, queries = crowd(seed, n), crowd(seed + 1, asked)
    options = {"gallery_rate": 0.3, "query_rate": 0.5, "share": 0.3}
    fast = spread_apart(rows, queries=queries, **options)
    slow = slow_reranking.invgc(rows, queries=queries, **options)
    np.testing.assert_allclose(fast, np.reshape(slow, rows.shape), atol=2e-5)


@each_method
@properties
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 30))
def test_the_order_of_the_gallery_does_not_matter(name, seed, n):
    rows = crowd(seed, n)
    order = np.random.default_rng(seed).permutation(n)
    transform = load("transform", name)
    changed = transform(rows, **SMALL[name])
    np.testing.assert_allclose(transform(rows[order], **SMALL[name]), changed[order], atol=1e-5)


@each_method
def test_blocks_change_nothing(name, monkeypatch):
    rows = crowd(7, 50)
    whole = load("transform", name)(rows, **SMALL[name])
    monkeypatch.setattr(database_augmentation, "BLOCK", 50 * 7)
    monkeypatch.setattr(inverse_convolution, "BLOCK", 50 * 7)
    blocks = load("transform", name)(rows, **SMALL[name])
    np.testing.assert_allclose(blocks, whole, atol=1e-5)


@each_method
def test_none_one_zeros_and_copies(name):
    transform = load("transform", name)
    rows = crowd(8, 9)
    assert transform(rows[:0]).shape == (0, 12)
    single = rows[:1] / np.linalg.norm(rows[:1])
    np.testing.assert_allclose(transform(rows[:1]), single, atol=1e-6)
    rows[3] = 0
    rows[5] = rows[6]
    kept = rows.copy()
    changed = transform(rows)
    np.testing.assert_array_equal(rows, kept)
    lengths = np.linalg.norm(changed, axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 1, 0, 1, 1, 1, 1, 1], atol=1e-5)
    np.testing.assert_allclose(changed[5], changed[6], atol=1e-5)


@each_method
def test_what_is_not_a_gallery_is_refused(name):
    transform = load("transform", name)
    with pytest.raises(RankingError, match="one a row"):
        transform(np.ones(4))
    with pytest.raises(RankingError, match="hold nan at"):
        transform(np.full((2, 2), np.nan))


def test_queries_of_another_model_are_refused():
    with pytest.raises(RankingError, match="have 12 numbers and the queries 5"):
        spread_apart(crowd(1, 4), queries=np.ones((3, 5)))


@pytest.mark.parametrize(
    ("name", "bad"), [(name, bad) for name, all_bad in BAD_SETTINGS.items() for bad in all_bad]
)
def test_impossible_settings_are_refused(name, bad):
    with pytest.raises(RankingError, match=f"{next(iter(bad))} must be a"):
        load("transform", name)(crowd(6, 10), **bad)


def test_augmentation_gathers_and_inverse_convolution_spreads():
    rows = crowd(9, 60)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def crowding(vectors):
        similar = vectors @ vectors.T
        np.fill_diagonal(similar, -1)
        return similar.max(axis=1).mean()

    gathered = load("transform", "dba")(rows, neighbours=5)
    spread = load("transform", "invgc")(rows, gallery_rate=0.5)
    assert crowding(spread) < crowding(unit) - 0.02
    assert crowding(gathered) > crowding(unit) + 0.02
