"""What every compressor of vectors promises, and what Inf-FS's formula says."""

from __future__ import annotations

import numpy as np
import pytest

from glocal.compress import VectorCompressor, make_vector_compressor
from glocal.compress.inf_fs import InfiniteFeatureSelection
from glocal.errors import CompressError
from glocal.registry import names

NAMES = names("compressor", trait="vectors")
each_compressor = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    random = np.random.default_rng(0)
    hidden = random.normal(size=(80, 6)) @ random.normal(size=(6, 24))
    return (hidden + 0.2 * random.normal(size=(80, 24))).astype(np.float32)


@each_compressor
def test_the_registry_names_the_class(name):
    made = make_vector_compressor(name)
    assert isinstance(made, VectorCompressor)
    assert made.name == name


@each_compressor
@pytest.mark.parametrize("dim", [1, 7, 24])
def test_the_result_has_as_many_numbers_as_asked_for_and_unit_length(name, dim, vectors):
    plan = make_vector_compressor(name).plan(vectors, dim)
    short = plan.apply(vectors)
    assert plan.dim == dim
    assert short.shape == (80, dim)
    assert short.dtype == np.float32
    assert np.allclose(np.linalg.norm(short, axis=1), 1, atol=1e-5)


@each_compressor
def test_a_choice_keeps_numbers_as_they_are(name, vectors):
    made = make_vector_compressor(name)
    plan = made.plan(vectors, 7)
    assert made.chooses == (plan.chosen is not None)
    if plan.chosen is not None:
        assert len(set(plan.chosen.tolist())) == 7
        kept = vectors[:, plan.chosen]
        unit = kept / np.linalg.norm(kept, axis=1, keepdims=True)
        assert np.allclose(plan.apply(vectors), unit, atol=1e-6)


@each_compressor
def test_all_dimensions_keep_the_nearest_neighbours(name, vectors):
    rows = vectors - vectors.mean(axis=0)  # so that centring changes nothing
    short = make_vector_compressor(name).plan(rows, 24).apply(rows)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.allclose(short @ short.T, unit @ unit.T, atol=1e-4)


@each_compressor
def test_planning_leaves_the_vectors_alone_and_twice_is_the_same(name, vectors):
    before = vectors.tobytes()
    first, again = (make_vector_compressor(name).plan(vectors, 5) for _ in range(2))
    assert vectors.tobytes() == before
    assert np.array_equal(first.apply(vectors), again.apply(vectors))


@each_compressor
def test_constant_and_equal_dimensions_do_not_break_it(name, vectors):
    rows = vectors.copy()
    rows[:, 3], rows[:, 4] = 1.0, rows[:, 5]
    assert np.isfinite(make_vector_compressor(name).plan(rows, 6).apply(rows)).all()
    same = np.repeat(rows[:1], 9, axis=0)
    assert np.isfinite(make_vector_compressor(name).plan(same, 6).apply(same)).all()


@each_compressor
def test_impossible_vectors_are_refused(name, vectors):
    made = make_vector_compressor(name)
    with pytest.raises(CompressError, match="too few to plan on; pass 2 or more"):
        made.plan(vectors[:1], 4)
    with pytest.raises(CompressError, match="25 numbers of 24 cannot be kept"):
        made.plan(vectors, 25)
    with pytest.raises(CompressError, match="nan or infinite number in row 1"):
        made.plan(np.where(np.arange(80)[:, None] == 1, np.nan, vectors), 4)
    with pytest.raises(CompressError, match="use vectors of the model that it was made for"):
        made.plan(vectors, 4).apply(vectors[:, 1:])


def test_an_unknown_setting_is_named():
    with pytest.raises(CompressError, match=r"cannot be made so: .*'speed'"):
        make_vector_compressor("inf-fs", speed=2)
    with pytest.raises(CompressError, match=r"damping in \(0, 1\)"):
        make_vector_compressor("inf-fs", damping=1.0)


def test_scores_of_inf_fs_are_the_sum_over_paths_of_all_lengths(vectors):
    made = InfiniteFeatureSelection(alpha=0.3)
    graph = made.graph(vectors)
    assert np.allclose(graph, graph.T)
    graph = graph * (made.damping / np.linalg.eigvalsh(graph)[-1])
    walks, total = np.ones(24), np.zeros(24)
    for _ in range(300):
        walks = graph @ walks
        total += walks
    assert np.allclose(made.scores(vectors), total, rtol=1e-9)


def test_edges_of_inf_fs_are_spread_and_spearmans_correlation(vectors):
    stats = pytest.importorskip("scipy.stats")
    rounded = vectors.round(1)  # with ties
    own = InfiniteFeatureSelection(alpha=0.0).graph(rounded)
    assert np.allclose(own, 1 - np.abs(stats.spearmanr(rounded).statistic), atol=1e-9)
    spread = rounded.std(axis=0)
    pairs = np.maximum.outer(spread, spread)
    expected = (pairs - pairs.min()) / (pairs.max() - pairs.min())
    assert np.allclose(InfiniteFeatureSelection(alpha=1.0).graph(rounded), expected, atol=1e-5)


def test_inf_fs_leaves_out_a_copy_before_a_dimension_that_says_something_else():
    random = np.random.default_rng(1)
    rows = random.normal(size=(200, 6)).astype(np.float32)
    rows[:, 4] = rows[:, 5]
    scores = InfiniteFeatureSelection(alpha=0.0).scores(rows)
    assert set(np.argsort(scores)[:2]) == {4, 5}
