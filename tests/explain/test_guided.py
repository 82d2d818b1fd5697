"""A ranking whose correspondences a person edits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocal.encoders import load_encoder
from glocal.errors import QueryError
from glocal.explain import explain
from glocal.explain.guided import Correspondence, GuidedRanking, cells_in


def grids(seed: int, candidates: int = 5) -> tuple[np.ndarray, list[np.ndarray]]:
    random = np.random.default_rng(seed)
    shapes = random.integers(1, 5, (candidates, 2))
    return random.normal(size=(3, 4, 6)), [random.normal(size=(*s, 6)) for s in shapes]


def slow_terms(query, candidate, allowed, count):
    """The strongest correspondences of one candidate, by loops."""
    found = []
    for row, column in np.ndindex(query.shape[:2]):
        if allowed[row, column]:
            q = query[row, column]
            terms = []
            for there in np.ndindex(candidate.shape[:2]):
                c = candidate[there]
                terms.append((q @ c / np.linalg.norm(q) / np.linalg.norm(c), there))
            value, there = max(terms, key=lambda term: term[0])
            found.append((value, (row, column), there))
    return sorted(found, reverse=True)[:count]


@given(
    seed=st.integers(0, 50),
    count=st.integers(1, 14),
    edits=st.lists(
        st.tuples(
            st.sampled_from(["allow", "forbid", "only"]),
            st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=6),
        ),
        max_size=5,
    ),
)
def test_after_any_edits_it_equals_a_slow_loop_and_explains_its_scores(seed, count, edits):
    query, candidates = grids(seed)
    found = GuidedRanking(query, candidates, strongest=count)
    allowed = np.ones((3, 4), bool)
    for action, cells in edits:
        getattr(found, action)(cells)
        if action == "only":
            allowed[:] = False
        for cell in cells:
            allowed[cell] = action != "forbid"
    assert (found.allowed == allowed).all()
    for number, candidate in enumerate(candidates):
        wanted = slow_terms(query, candidate, allowed, count)
        terms = found.explain(number)
        assert [(t.query, t.candidate) for t in terms] == [w[1:] for w in wanted]
        assert [t.similarity for t in terms] == pytest.approx([w[0] for w in wanted], abs=1e-5)
        assert found.scores[number] == pytest.approx(sum(w[0] for w in wanted), abs=1e-5)
    assert (np.diff(found.scores[found.ranking]) <= 0).all()


def test_edits_are_logged_undone_and_played_again():
    query, candidates = grids(3)
    found = GuidedRanking(query, candidates, strongest=2)
    scores, ranking = found.scores, found.ranking
    edit = found.only([(0, 1), (0, 0)])
    assert (edit.action, edit.cells, edit.allowed) == ("only", ((0, 0), (0, 1)), 2)
    assert (edit.first_before, edit.first_after) == (ranking[0], found.ranking[0])
    assert edit.moved == (ranking != found.ranking).sum() > 0
    found.forbid([(0, 0)])
    kept = found.ranking
    found.undo()
    found.undo()
    assert (found.scores == scores).all()
    with pytest.raises(QueryError, match="no change to undo"):
        found.undo()
    assert [each.action for each in found.log] == ["only", "forbid", "undo", "undo"]
    again = GuidedRanking(query, candidates, strongest=2)
    again.replay(json.loads(json.dumps(found.log_as_data()))[:2])
    assert (again.ranking == kept).all()
    again.replay(found.log[2:])
    assert again.log == found.log


def test_nothing_allowed_scores_nothing_and_what_is_given_out_is_a_copy():
    found = GuidedRanking(*grids(1))
    found.only([])
    assert not found.scores.any()
    assert found.explain(0) == []
    found.scores[:] = 7
    found.allowed[:] = True
    assert not found.scores.any()
    assert not found.allowed.any()


def test_cells_of_zeros_are_like_nothing():
    found = GuidedRanking(np.zeros((1, 1, 2)), np.ones((1, 1, 1, 2)))
    assert found.explain(0) == [Correspondence(0.0, (0, 0), (0, 0))]


def test_what_does_not_fit_is_refused():
    query, candidates = grids(0)
    for wrong in ([], np.float64(3)):
        with pytest.raises(QueryError, match="0 candidates cannot be compared"):
            GuidedRanking(query, wrong)
    with pytest.raises(QueryError, match="candidate 1 have 5 numbers and those of the query 6"):
        GuidedRanking(query, [candidates[0], np.ones((1, 1, 5))])
    with pytest.raises(QueryError, match="finite numbers"):
        GuidedRanking(query * np.nan, candidates)
    with pytest.raises(QueryError, match="0 correspondences is none"):
        GuidedRanking(query, candidates, strongest=0)
    found = GuidedRanking(query, candidates)
    for cell in ((3, 0), (0, -1), (0,), "ab", None, (0.5, 1)):
        with pytest.raises(QueryError, match="the query has no cell"):
            found.allow([cell])
    assert found.log == ()
    with pytest.raises(QueryError, match="no candidate 5"):
        found.explain(5)
    with pytest.raises(QueryError, match="action 'paint'"):
        found.replay([{"action": "paint"}])


@pytest.mark.parametrize(
    ("region", "cells"),
    [
        ((0, 0, 1, 1), [(0, 0), (0, 1), (1, 0), (1, 1)]),
        ((0.5, 0, 0.5, 0.6), [(0, 1)]),
        ((0.6, 0.6, 0, 0), [(1, 1)]),
        ((0.3, 0.8, 0.1, 0.1), [(1, 0)]),
    ],
)
def test_cells_in_a_region(region, cells):
    assert cells_in(region, (2, 2)) == cells


def test_the_explainer_allows_what_lies_in_the_region_only():
    random = np.random.default_rng(5)
    query, *hits = random.integers(0, 256, (3, 96, 128, 3), dtype=np.uint8)
    encoder = load_encoder()
    whole = explain(query, *hits, kind="correspondences", encoder=encoder)
    half = explain(query, *hits, kind="correspondences", encoder=encoder, region=(64, 0, 64, 96))
    point = explain(query, hits[0], kind="correspondences", encoder=encoder, point=(0.1, 0.9))
    assert whole.scores == half.scores
    for found in (whole, half):
        for pairs, guided in zip(found.data["pairs"], found.data["guided"], strict=True):
            assert sum(pair["similarity"] for pair in pairs) == pytest.approx(guided, abs=1e-3)
        assert sorted(found.data["ranking"]) == [0, 1]
    assert all(pair["query"][0] >= 0.45 for pairs in half.data["pairs"] for pair in pairs)
    (pairs,) = point.data["pairs"]
    ((x, y, width, height),) = [pair["query"] for pair in pairs]
    assert x <= 0.1 <= x + width + 1e-4
    assert y <= 0.9 <= y + height + 1e-4
    with pytest.raises(QueryError, match="not in the query"):
        explain(query, hits[0], kind="correspondences", encoder=encoder, point=(500, 5))
