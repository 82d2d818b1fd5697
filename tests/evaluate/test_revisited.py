"""The revisited protocol against a loop, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import EvaluationError
from glocal.evaluate import GroundTruth, evaluate_revisited


def truth_of(size, queries):
    def lists(kind):
        return tuple(np.array(sorted(query[kind]), dtype=np.int64) for query in queries)

    return GroundTruth(
        query_names=tuple(f"q{i}" for i in range(len(queries))),
        database_names=tuple(f"d{i}" for i in range(size)),
        easy=lists("easy"),
        hard=lists("hard"),
        junk=lists("junk"),
        boxes=np.full((len(queries), 4), np.nan),
    )


def slow_query(ranked, right, ignored, ks):
    """Remove ignored images one by one, then walk down the list and add up trapezoids."""
    if not right:
        return math.nan, [math.nan] * len(ks)
    kept = [image for image in ranked if image not in ignored]
    area, found, last = 0.0, 0, None
    for rank, image in enumerate(kept, start=1):
        if image in right:
            before = 1.0 if rank == 1 else found / (rank - 1)
            found += 1
            area += (before + found / rank) / 2 / len(right)
            last = rank
    precisions = []
    for k in ks:
        depth = min(k, last) if found == len(right) else k
        precisions.append(sum(image in right for image in kept[:depth]) / depth)
    return area, precisions


@st.composite
def problems(draw):
    size = draw(st.integers(1, 12))
    queries = []
    ranks = []
    length = draw(st.integers(0, size))
    for _ in range(draw(st.integers(0, 4))):
        kinds = [draw(st.sampled_from(["easy", "hard", "junk", "no"])) for _ in range(size)]
        queries.append(
            {
                kind: {i for i, k in enumerate(kinds) if k == kind}
                for kind in ("easy", "hard", "junk")
            }
        )
        row = draw(st.permutations(range(size)))[:length]
        ranks.append([-1 if draw(st.integers(0, 9)) == 0 else image for image in row])
    return size, queries, np.array(ranks, dtype=np.int64).reshape(len(queries), length)


@settings(deadline=None)
@given(problems())
def test_result_equals_the_slow_loop(problem):
    size, queries, ranks = problem
    ks = (1, 3, 10)
    results = evaluate_revisited(ranks, truth_of(size, queries), ks=ks)
    for setup, result in results.items():
        expected = []
        for query, row in zip(queries, ranks.tolist(), strict=True):
            right, ignored = {
                "easy": (query["easy"], query["junk"] | query["hard"]),
                "medium": (query["easy"] | query["hard"], query["junk"]),
                "hard": (query["hard"], query["junk"] | query["easy"]),
            }[setup]
            expected.append(slow_query(row, right, ignored, ks))
        aps = [ap for ap, _ in expected]
        assert result.per_query_ap == pytest.approx(np.array(aps), nan_ok=True)
        kept = [pair for pair in expected if not math.isnan(pair[0])]
        assert result.queries == len(kept)
        if not kept:
            assert math.isnan(result.mean_ap)
            assert all(math.isnan(value) for value in result.mean_precision_at.values())
            continue
        assert result.mean_ap == pytest.approx(sum(ap for ap, _ in kept) / len(kept))
        for column, k in enumerate(ks):
            mean = sum(precisions[column] for _, precisions in kept) / len(kept)
            assert result.mean_precision_at[k] == pytest.approx(mean)


def test_result_equals_a_calculation_by_hand():
    # database 0..5: 0 easy, 1 hard, 2 junk, the others negative; ranked 2 3 0 4 1 5
    truth = truth_of(6, [{"easy": {0}, "hard": {1}, "junk": {2}}])
    results = evaluate_revisited([[2, 3, 0, 4, 1, 5]], truth, ks=(1, 2, 10))
    # easy: 2 and 1 are taken out, leaving 3 [0] 4 5: right at rank 2; trapezoid (0/1 + 1/2) / 2
    assert results["easy"].mean_ap == pytest.approx(0.25)
    # the last right answer is at rank 2, so P@10 counts 2 images: one is right
    assert results["easy"].mean_precision_at == pytest.approx({1: 0.0, 2: 0.5, 10: 0.5})
    # medium: 2 is taken out, leaving 3 [0] 4 [1] 5: right at ranks 2 and 4
    # ((0/1 + 1/2) / 2 + (1/3 + 2/4) / 2) / 2
    assert results["medium"].mean_ap == pytest.approx((0.25 + 5 / 12) / 2)
    assert results["medium"].mean_precision_at == pytest.approx({1: 0.0, 2: 0.5, 10: 0.5})
    # hard: 2 and 0 are taken out, leaving 3 4 [1] 5: right at rank 3; (0/2 + 1/3) / 2
    assert results["hard"].mean_ap == pytest.approx(1 / 6)
    assert results["hard"].mean_precision_at == pytest.approx({1: 0.0, 2: 0.0, 10: 1 / 3})


def test_a_perfect_list_scores_one_in_all_setups():
    truth = truth_of(5, [{"easy": {4, 2}, "hard": {0}, "junk": {1}}])
    for result in evaluate_revisited([[1, 4, 0, 2, 3]], truth).values():
        assert result.mean_ap == pytest.approx(1.0)
        # fewer than 10 right answers, and yet P@10 is 1
        assert result.mean_precision_at[10] == 1.0


def test_queries_without_right_answers_are_left_out_of_a_setup():
    truth = truth_of(
        2,
        [
            {"easy": {0}, "hard": set(), "junk": set()},
            {"easy": set(), "hard": {1}, "junk": set()},
        ],
    )
    results = evaluate_revisited([[0, 1], [0, 1]], truth)
    assert (results["easy"].queries, results["hard"].queries) == (1, 1)
    assert results["medium"].queries == 2
    assert np.isnan(results["easy"].per_query_ap).tolist() == [False, True]
    assert np.isnan(results["easy"].per_query_precision).all(axis=1).tolist() == [False, True]
    assert results["easy"].mean_ap == 1.0


def test_a_short_list_never_scores_above_the_full_one():
    rng = np.random.default_rng(0)
    truth = truth_of(30, [{"easy": set(range(6)), "hard": {6, 7}, "junk": {8}}] * 5)
    full = np.array([rng.permutation(30) for _ in range(5)])
    for length in range(30):
        short = evaluate_revisited(full[:, :length], truth)
        for setup, result in evaluate_revisited(full, truth).items():
            assert (short[setup].per_query_ap <= result.per_query_ap + 1e-12).all()
            assert (short[setup].per_query_precision <= result.per_query_precision + 1e-12).all()


TRUTH = truth_of(3, [{"easy": {0}, "hard": set(), "junk": set()}] * 2)


@pytest.mark.parametrize(
    ("ranks", "says"),
    [
        ([[0, 1, 2]], "1 rows for 2 queries"),
        ([[0, 1], [1, 0], [2, 2]], "transpose"),
        ([[0, 1, 2], [0, 1, 3]], "image 3 of a gallery of 3"),
        ([[0, 1, 2], [0, 1, -2]], "image -2"),
        ([[0, 1, 2], [0, 1, 1]], "ranks of query 1 name image 1 twice"),
        ([[0.0, 1.0, 2.0]] * 2, "whole numbers"),
        ([0, 1, 2], "whole numbers"),
    ],
)
def test_invalid_ranks_are_refused(ranks, says):
    with pytest.raises(EvaluationError, match=says):
        evaluate_revisited(ranks, TRUTH)
    with pytest.raises(EvaluationError, match="no cut-off"):
        evaluate_revisited([[0], [0]], TRUTH, ks=())
