"""MaxSim of sets of descriptors, against loops over them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import RankingError
from glocal.ranking import maxsim
from glocal.ranking.maxsim import max_similarities, max_similarity

properties = settings(max_examples=40, deadline=None, derandomize=True)


def locals_of(random, m, e=16):
    rows = random.normal(size=(m, e))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def slow_max_similarity(query, document):
    if not len(query) or not len(document):
        return -1.0
    best = [max(float(a.astype(float) @ b.astype(float)) for b in document) for a in query]
    return sum(best) / len(best)


@properties
@given(
    seed=st.integers(0, 2**32 - 1),
    m=st.integers(0, 8),
    sizes=st.lists(st.integers(0, 9), max_size=6),
    block=st.sampled_from([1, 40, 1 << 24]),
)
def test_max_similarity_agrees_with_the_slow_reference(seed, m, sizes, block):
    random = np.random.default_rng(seed)
    query, documents = locals_of(random, m), [locals_of(random, n) for n in sizes]
    slow = [slow_max_similarity(query, document) for document in documents]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maxsim, "_BLOCK", block)
        fast = max_similarity(query, documents)
    assert fast.dtype == np.float32
    np.testing.assert_allclose(fast, np.array(slow, np.float32), atol=1e-5)


def test_images_without_descriptors_have_the_least_similarity():
    nothing = np.empty((0, 16), np.float32)
    documents = [nothing, locals_of(np.random.default_rng(0), 3)]
    np.testing.assert_array_equal(max_similarity(nothing, documents), [-1, -1])
    assert max_similarity(documents[1], documents)[0] == -1
    assert max_similarity(documents[1], documents)[1] == pytest.approx(1)
    assert max_similarity(documents[1], []).shape == (0,)


def test_descriptors_of_another_model_are_refused():
    with pytest.raises(RankingError, match="have 16 numbers and those of document 1 8"):
        max_similarity(np.ones((2, 16)), [np.ones((2, 16)), np.ones((2, 8))])


def test_several_queries_at_once_score_as_each_alone(monkeypatch):
    random = np.random.default_rng(5)

    def local(count):
        rows = random.normal(size=(count, 8)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    queries = [local(count) for count in (5, 0, 1, 12)]
    documents = [local(count) for count in (3, 0, 40, 1, 7, 7)]
    alone = np.stack([max_similarity(query, documents) for query in queries])
    for block in (1, 100, 1 << 24):
        monkeypatch.setattr(maxsim, "_BLOCK", block)
        np.testing.assert_allclose(max_similarities(queries, documents), alone, atol=1e-6)
    assert max_similarities([], documents).shape == (0, 6)
    with pytest.raises(RankingError, match="of query 1 4: they are of different models"):
        max_similarities([local(2), local(2)[:, :4]], documents)
