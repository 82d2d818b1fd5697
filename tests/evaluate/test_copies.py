"""Copy detection against a loop over thresholds, by hand, and its files."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import EvaluationError
from glocal.evaluate import evaluate_copies, read_copy_predictions, read_copy_truth

pairs = st.tuples(st.integers(0, 4), st.integers(0, 4))


def slow(predictions, truth):
    """Walk down the list, wrong ones first among equals; try every score as a threshold."""
    ranked = sorted(predictions, key=lambda item: (-item[1], item[0] in truth))
    summed = 0.0
    for rank in range(1, len(ranked) + 1):
        if ranked[rank - 1][0] in truth:
            summed += sum(pair in truth for pair, _ in ranked[:rank]) / rank
    recall, threshold = 0.0, math.nan
    for candidate in sorted({score for _, score in predictions}, reverse=True):
        taken = [pair in truth for pair, score in predictions if score >= candidate]
        if sum(taken) / len(taken) >= 0.9 and sum(taken) / len(truth) > recall:
            recall, threshold = sum(taken) / len(truth), candidate
    return summed / len(truth), recall, threshold


@settings(deadline=None)
@given(
    st.dictionaries(pairs, st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), max_size=25),
    st.sets(pairs, min_size=1),
)
def test_result_equals_the_slow_loop(scored, truth):
    predictions = list(scored.items())
    result = evaluate_copies(
        [query for (query, _), _ in predictions],
        [reference for (_, reference), _ in predictions],
        [score for _, score in predictions],
        truth,
    )
    micro_ap, recall, threshold = slow(predictions, truth)
    assert result.micro_ap == pytest.approx(micro_ap)
    assert result.recall_at_p90 == pytest.approx(recall)
    assert result.threshold_at_p90 == pytest.approx(threshold, nan_ok=True)
    assert (result.predictions, result.positives) == (len(predictions), len(truth))


def test_long_lists_equal_the_loop():
    rng = np.random.default_rng(2)
    keys = [(q, r) for q in range(40) for r in range(20)]
    truth = {keys[i] for i in rng.choice(len(keys), 300, replace=False)}
    scored = [(key, round(float(rng.normal() + 4 * (key in truth)), 1)) for key in keys]
    result = evaluate_copies(*zip(*(key for key, _ in scored), strict=True),
                             [score for _, score in scored], truth)  # fmt: skip
    micro_ap, recall, threshold = slow(scored, truth)
    assert result.micro_ap == pytest.approx(micro_ap)
    assert result.recall_at_p90 == pytest.approx(recall)
    assert result.threshold_at_p90 == threshold
    assert 0.5 < recall < 1


def test_result_equals_a_calculation_by_hand():
    # by score: right, distractor query, right, wrong reference; three true pairs exist
    result = evaluate_copies(
        np.array(["Q1", "Q9", "Q2", "Q1"]),
        np.array(["R1", "R1", "R2", "R2"]),
        [0.9, 0.8, 0.7, 0.6],
        [("Q1", "R1"), ("Q2", "R2"), ("Q3", "R3")],
    )
    assert result.micro_ap == pytest.approx((1 / 1 + 2 / 3) / 3)
    # precision is 1 at 0.9 and at most 2/3 below
    assert result.recall_at_p90 == pytest.approx(1 / 3)
    assert result.threshold_at_p90 == 0.9


def test_a_constant_score_gains_nothing():
    queries = [f"Q{n}" for n in range(100)]
    truth = [("Q0", "R"), ("Q1", "R")]
    result = evaluate_copies(queries, ["R"] * 100, np.ones(100), truth)
    # the two right ones come at ranks 99 and 100
    assert result.micro_ap == pytest.approx((1 / 99 + 2 / 100) / 2)
    assert result.recall_at_p90 == 0.0
    assert math.isnan(result.threshold_at_p90)


def test_recall_at_p90_when_precision_falls_and_rises_again():
    # right, wrong, then 18 right: precision at the end is 19/20 = 0.95
    scores = np.linspace(1, 0, 20)
    truth = [(n, 0) for n in range(20) if n != 1]
    result = evaluate_copies(range(20), [0] * 20, scores, truth)
    assert result.recall_at_p90 == 1.0
    assert result.threshold_at_p90 == 0.0


def test_empty_predictions_and_empty_truth():
    result = evaluate_copies([], [], [], [("Q", "R")])
    assert (result.micro_ap, result.recall_at_p90, result.predictions) == (0.0, 0.0, 0)
    result = evaluate_copies(["Q"], ["R"], [1.0], [])
    assert math.isnan(result.micro_ap)
    assert math.isnan(result.recall_at_p90)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((["Q"], ["R"], [math.nan], []), "nan"),
        ((["Q"], ["R"], [0.1, 0.2], []), "shape"),
        ((["Q", "P"], ["R"], [0.1, 0.2], []), "2 queries but 1 references"),
        ((["P", "Q", "Q"], ["R"] * 3, [0.1, 0.2, 0.3], []), r"\('Q', 'R'\) is predicted twice"),
    ],
)
def test_invalid_arguments_are_refused(arguments, says):
    with pytest.raises(EvaluationError, match=says):
        evaluate_copies(*arguments)


def test_the_published_files_are_read(tmp_path):
    truth = tmp_path / "public_ground_truth.csv"
    truth.write_text("query_id,reference_id\nQ00003,R326040\nQ00005,\nQ00004,R852827\n")
    assert read_copy_truth(truth) == [("Q00003", "R326040"), ("Q00004", "R852827")]
    answers = tmp_path / "predictions.csv"
    answers.write_text("query_id,reference_id,score\nQ00003,R326040,-0.125\nQ00005,R1,-2\n")
    predictions = read_copy_predictions(answers)
    result = evaluate_copies(
        predictions.queries, predictions.references, predictions.scores, read_copy_truth(truth)
    )
    assert result.micro_ap == pytest.approx(0.5)
    answers.write_text("query_id,reference_id,score\nQ00003,R326040,\n")
    with pytest.raises(EvaluationError, match="line 2: '' is not a score"):
        read_copy_predictions(answers)
