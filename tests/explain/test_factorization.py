"""Concepts: against scikit-learn's factorisation, and on images whose concepts are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import QueryError
from glocal.explain.factorization import factorize, joint_concepts


@pytest.mark.parametrize("shape", [(60, 40), (200, 30), (12, 90)])
@pytest.mark.parametrize("count", [1, 3, 6])
def test_the_error_is_about_scikit_learns(shape: tuple[int, int], count: int) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition", reason="the extra demo")
    matrix = np.maximum(np.random.default_rng(1).normal(0.2, 1, shape), 0)
    settings_ = {"init": "nndsvda", "solver": "mu", "max_iter": 5000, "tol": 1e-7}
    theirs = decomposition.NMF(count, random_state=0, **settings_)
    theirs.fit(matrix)
    got = factorize(matrix, count, rounds=2000, tolerance=1e-7)
    assert got.error <= 1.01 * theirs.reconstruction_err_
    assert got.error == pytest.approx(np.linalg.norm(matrix - got.weights @ got.factors))


def test_a_product_of_factors_is_factorised_again() -> None:
    random = np.random.default_rng(0)
    weights = random.uniform(size=(50, 3)) * (random.uniform(size=(50, 3)) > 0.5)
    factors = np.kron(np.eye(3), np.ones(5))
    got = factorize(weights @ factors, 3, rounds=2000, tolerance=0)
    assert got.error < 0.01 * np.linalg.norm(weights @ factors)
    np.testing.assert_allclose(np.linalg.norm(got.factors, axis=1), 1)
    assert (got.weights >= 0).all()
    assert (got.factors >= 0).all()


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(1, 12), st.integers(1, 12), st.integers(1, 7))
def test_more_rounds_never_fit_worse(seed: int, n: int, m: int, count: int) -> None:
    matrix = np.random.default_rng(seed).uniform(size=(n, m))
    errors = [factorize(matrix, count, rounds=r, tolerance=0).error for r in (0, 1, 5, 40)]
    assert all(b <= a + 1e-9 for a, b in itertools.pairwise(errors))


def test_the_same_images_have_the_same_concepts() -> None:
    grids = [np.random.default_rng(s).normal(size=(4, 5, 8)).astype(np.float32) for s in range(3)]
    for one, other in zip(joint_concepts(grids, 3), joint_concepts(grids, 3), strict=True):
        assert np.array_equal(one, other)


def test_concepts_are_found_in_all_images_and_opposites_are_two() -> None:
    """Two objects and the opposite of the first, which dropping negative values would lose."""
    thing, other = np.eye(6)[0] + np.eye(6)[1], np.eye(6)[3] + np.eye(6)[4]
    kinds = np.stack([thing, other, -thing])
    maps = [np.array([[0, 0, 1], [2, 2, 1]]), np.array([[1, 0], [2, 0], [1, 2]])]
    got = joint_concepts([kinds[m].astype(np.float32) / m.size for m in maps], 3)
    named = {}
    for kind_map, concepts in zip(maps, got, strict=True):
        assert concepts.shape == (*kind_map.shape, 3)
        assert concepts.min() >= 0
        assert concepts.max() <= 1 + 1e-6
        for kind, concept in zip(kind_map.flat, concepts.argmax(2).flat, strict=True):
            assert named.setdefault(int(kind), int(concept)) == concept
    assert sorted(named.values()) == [0, 1, 2]


@pytest.mark.parametrize("count", [1, 4])
def test_images_without_contributions_have_finite_concepts(count: int) -> None:
    (concepts,) = joint_concepts([np.zeros((2, 3, 5), np.float32)], count)
    assert concepts.shape == (2, 3, count)
    assert np.isfinite(concepts).all()


def test_no_images_and_no_concepts_are_refused() -> None:
    with pytest.raises(QueryError, match="4 concepts of 0 images"):
        joint_concepts([])
    with pytest.raises(QueryError, match="0 concepts of 1 images"):
        joint_concepts([np.ones((1, 1, 2), np.float32)], 0)
