"""The metrics of ranked lists against loops that follow the definitions word by word."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocal.errors import EvaluationError
from glocal.evaluate import (
    average_precision,
    map_at_r,
    mean_average_precision,
    precision_at,
    r_precision,
    rank_by_score,
    recall_at,
)


def slow_ap(row, total, depth):
    """Walk down the list; at each right answer add the precision so far."""
    if total == 0:
        return math.nan
    found, summed = 0, 0.0
    for rank, right in enumerate(row[:depth], start=1):
        if right:
            found += 1
            summed += found / rank
    return summed / total


def slow_mean(values):
    kept = [value for value in values if not math.isnan(value)]
    return sum(kept) / len(kept) if kept else math.nan


@st.composite
def lists_and_totals(draw):
    queries = draw(st.integers(0, 6))
    length = draw(st.integers(0, 12))
    rows = [[draw(st.booleans()) for _ in range(length)] for _ in range(queries)]
    missed = [draw(st.integers(0, 4)) for _ in range(queries)]
    totals = [sum(row) + more for row, more in zip(rows, missed, strict=True)]
    relevant = np.array(rows, dtype=bool).reshape(queries, length)
    return relevant, np.array(totals, dtype=np.int64)


@given(lists_and_totals(), st.integers(1, 15))
def test_every_metric_equals_its_slow_loop(lists, k):
    relevant, totals = lists
    pairs = [(row.tolist(), int(total)) for row, total in zip(relevant, totals, strict=True)]

    def same(fast, slow):
        assert fast == pytest.approx(slow_mean(slow), nan_ok=True)

    same(
        mean_average_precision(relevant, totals=totals),
        [slow_ap(row, total, len(row)) for row, total in pairs],
    )
    same(map_at_r(relevant, totals=totals), [slow_ap(row, total, total) for row, total in pairs])
    same(
        r_precision(relevant, totals=totals),
        [sum(row[:total]) / total if total else math.nan for row, total in pairs],
    )
    same(
        recall_at(relevant, k, totals=totals),
        [float(True in row[:k]) if total else math.nan for row, total in pairs],
    )
    same(
        precision_at(relevant, k, totals=totals),
        [row[:k].count(True) / k if total else math.nan for row, total in pairs],
    )


def test_average_precision_by_hand():
    # right answers at ranks 1, 3, 6: precisions 1/1, 2/3, 3/6
    relevant = np.array([1, 0, 1, 0, 0, 1], dtype=bool)
    assert average_precision(relevant) == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    # a fourth right answer was not returned: the sum is over four
    assert average_precision(relevant, total=4) == pytest.approx((1 + 2 / 3 + 1 / 2) / 4)
    # two are within the first R = 3, at ranks 1 and 3
    assert r_precision(relevant[None]) == pytest.approx(2 / 3)
    assert map_at_r(relevant[None]) == pytest.approx((1 + 2 / 3) / 3)


def test_map_at_r_distinguishes_lists_of_equal_r_precision():
    # R = 10, one right answer in the first ten: at rank 1, or at rank 10
    early = np.array([[1] + [0] * 9], dtype=bool)
    late = np.array([[0] * 9 + [1]], dtype=bool)
    totals = [10]
    assert r_precision(early, totals=totals) == r_precision(late, totals=totals) == 0.1
    assert map_at_r(early, totals=totals) == pytest.approx(0.1)
    assert map_at_r(late, totals=totals) == pytest.approx(0.01)


def test_a_query_without_a_right_answer_is_left_out():
    relevant = np.array([[True, False], [False, False]])
    assert mean_average_precision(relevant) == 1.0
    assert recall_at(relevant, 1) == 1.0
    assert precision_at(relevant, 2) == 0.5
    # but where a right answer exists and was not returned, the query counts
    assert recall_at(relevant, 1, totals=[1, 1]) == 0.5
    assert math.isnan(average_precision([False, False]))
    assert math.isnan(mean_average_precision(np.zeros((0, 5), dtype=bool)))


def test_ranks_beyond_the_list_count_as_wrong():
    assert precision_at(np.array([[True, True]]), 4) == 0.5


def test_equal_scores_are_ordered_by_gallery_index():
    ranks = rank_by_score([[0.5, 0.9, 0.5, 0.9], [1, 2, 3, 4]])
    assert ranks.tolist() == [[1, 3, 0, 2], [3, 2, 1, 0]]


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=20))
def test_rank_by_score_equals_a_sort(scores):
    expected = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    assert rank_by_score([scores])[0].tolist() == expected


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: rank_by_score([[0.1, math.nan]]), "nan"),
        (lambda: rank_by_score([0.1, 0.2]), "shape"),
        (lambda: rank_by_score([["a", "b"]]), "numbers"),
        (lambda: rank_by_score([[1.0], [1.0, 2.0]]), "numbers"),
        (lambda: average_precision([1, 0, 1]), "booleans"),
        (lambda: average_precision([[True]]), "booleans"),
        (lambda: average_precision([True, True], total=1), "more than its total"),
        (lambda: mean_average_precision([[True]], totals=[1, 2]), "one whole number a query"),
        (lambda: mean_average_precision([[True]], totals=[1.0]), "one whole number a query"),
        (lambda: recall_at([[True]], 0), "at least 1"),
        (lambda: precision_at([[True]], 1.5), "whole number"),
        (lambda: recall_at([[True]], True), "whole number"),
    ],
)
def test_invalid_arguments_are_refused(call, says):
    with pytest.raises(EvaluationError, match=says):
        call()
