"""The recall study against slow references and against data with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from glocal.analyse import local_intrinsic_dimensions, study_graph
from glocal.analyse.exact import nearest
from glocal.errors import AnalysisError
from glocal.registry import load


def _on_a_sphere(count: int, directions: int, dim: int, seed: int) -> np.ndarray:
    """Unit vectors spread evenly over a sphere of ``directions - 1`` dimensions in ``dim``."""
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.standard_normal((dim, directions)))[0].T
    drawn = random.standard_normal((count, directions)) @ basis
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("directions", [3, 6, 9])
def test_the_dimension_of_a_sphere_is_found(directions):
    vectors = _on_a_sphere(3000, directions, 32, seed=directions)
    found = np.median(local_intrinsic_dimensions(vectors, neighbours=60))
    assert found == pytest.approx(directions - 1, rel=0.15)


def test_the_dimension_is_the_likelihood_of_a_slow_loop():
    vectors = _on_a_sphere(40, 4, 6, seed=0).astype(np.float64)
    for number, found in enumerate(local_intrinsic_dimensions(vectors, neighbours=7)):
        others = [np.linalg.norm(vectors[number] - x) for i, x in enumerate(vectors) if i != number]
        radii = sorted(others)[:7]
        expected = -1 / np.mean([np.log(r / radii[-1]) for r in radii])
        assert found == pytest.approx(expected, rel=1e-3)


def test_copies_do_not_count_as_neighbours():
    vectors = _on_a_sphere(500, 4, 8, seed=1)
    twice = np.repeat(vectors, 2, axis=0)
    found = local_intrinsic_dimensions(twice, neighbours=40)
    assert np.isfinite(found).all()
    assert np.median(found) == pytest.approx(3, rel=0.25)
    only_copies = local_intrinsic_dimensions(np.repeat(vectors[:1], 9, axis=0), neighbours=4)
    assert np.isnan(only_copies).all()


def test_nearest_is_a_sorted_list_of_everything():
    vectors, queries = _on_a_sphere(60, 5, 5, seed=2), _on_a_sphere(7, 5, 5, seed=3)
    similarities, numbers = nearest(vectors, queries, 9)
    expected = np.argsort(-(queries @ vectors.T), axis=1)[:, :9]
    np.testing.assert_array_equal(numbers, expected)
    assert (np.diff(similarities, axis=1) <= 0).all()
    _, others = nearest(vectors, vectors, 5, leave_out_self=True)
    assert others.shape == (60, 4)
    assert not (others == np.arange(60)[:, None]).any()


def test_a_graph_that_keeps_every_candidate_finds_everything():
    vectors, queries = _on_a_sphere(400, 6, 16, seed=4), _on_a_sphere(20, 6, 16, seed=5)
    study = study_graph(vectors, queries, expansion_search=400, number="f32", connectivity=32)
    assert all(one.recall == 1 and one.worst == 1 for one in study.insertions)
    assert np.isnan(study.insertions[0].correlation)
    assert study.spread == 0


def test_more_dimensions_and_a_weaker_graph_lose_recall_and_computing_less_is_reported():
    easy, hard = (_on_a_sphere(2000, many, 48, seed=many) for many in (4, 40))
    weak = {"connectivity": 4, "expansion_add": 8, "expansion_search": 10, "orders": ["random"]}
    first = study_graph(easy[50:], easy[:50], number="f32", **weak)
    second = study_graph(hard[50:], hard[:50], number="f32", **weak)
    assert first.dimension < second.dimension
    assert first.insertions[0].recall > second.insertions[0].recall + 0.2
    assert 0 < first.insertions[0].distances < 0.5 * first.vectors
    strong = study_graph(hard[50:], hard[:50], number="f32", orders=["random"])
    assert strong.insertions[0].recall > second.insertions[0].recall
    assert strong.insertions[0].distances > second.insertions[0].distances


def test_queries_in_a_dense_many_dimensional_part_are_those_that_are_missed():
    flat, full = _on_a_sphere(1500, 3, 32, seed=6), _on_a_sphere(1500, 30, 32, seed=7)
    vectors = np.concatenate([flat[50:], full[50:]])
    queries = np.concatenate([flat[:50], full[:50]])
    weak = {"connectivity": 4, "expansion_add": 8, "expansion_search": 10}
    study = study_graph(vectors, queries, number="f32", orders=["random"], **weak)
    assert study.insertions[0].correlation < -0.5


def test_groups_one_after_another_are_an_order_of_their_own():
    vectors, queries = _on_a_sphere(600, 8, 16, seed=8), _on_a_sphere(30, 8, 16, seed=9)
    groups = [f"folder {number % 5}" for number in range(600)]
    study = study_graph(vectors, queries, groups=groups, orders=["as given", "by group"])
    assert [one.order for one in study.insertions] == ["as given", "by group"]
    with pytest.raises(AnalysisError, match="pass groups"):
        study_graph(vectors, queries, orders=["by group"])


def test_what_does_not_fit_is_refused():
    vectors = _on_a_sphere(20, 4, 8, seed=10)
    with pytest.raises(AnalysisError, match="do not fit"):
        study_graph(vectors, vectors[:, :4])
    with pytest.raises(AnalysisError, match="more than k"):
        study_graph(vectors, vectors, k=20)
    with pytest.raises(AnalysisError, match="neighbours"):
        local_intrinsic_dimensions(vectors, neighbours=20)


def test_the_study_is_a_registered_analysis():
    assert load("analysis", "graph-recall") is study_graph
