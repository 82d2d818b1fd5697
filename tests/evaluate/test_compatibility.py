"""Cross-tests against a slow version, and the averages on matrices worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from glocal.errors import EvaluationError
from glocal.evaluate import (
    average_accuracy,
    average_compatibility,
    evaluate_cross,
    evaluate_labelled,
    update_gain,
)


def slow_cross(queries, asked, gallery, labels, *, same_images):
    """R@1 and mAP by sorting every list in full, wrong answers first among equal ones."""
    first, average = [], []
    for number, (query, label) in enumerate(zip(queries, asked, strict=True)):
        ranked = sorted(
            (-round(float(query @ item), 5), of == label)
            for place, (item, of) in enumerate(zip(gallery, labels, strict=True))
            if not (same_images and place == number)
        )
        hits = [rank for rank, (_, right) in enumerate(ranked, start=1) if right]
        if hits:
            first.append(hits[0] == 1)
            average.append(np.mean([n / rank for n, rank in enumerate(hits, start=1)]))
    return np.mean(first), np.mean(average), len(first)


@pytest.mark.parametrize("same_images", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_a_cross_test_is_the_slow_one(seed, same_images):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 9, 40)
    # Whole numbers, so that many similarities are equal.
    old, new = (random.integers(-1, 2, (40, 5)).astype(np.float32) for _ in range(2))
    queries, asked = (new, labels) if same_images else (new[:12], random.integers(0, 12, 12))
    found = evaluate_cross(queries, asked, old, labels, same_images=same_images)
    slow = slow_cross(queries, asked, old, labels, same_images=same_images)
    assert (found.recall_at_1, found.mean_ap, found.queries) == pytest.approx(slow)


def test_a_self_test_is_that_of_the_protocol_for_labels():
    random = np.random.default_rng(0)
    vectors, labels = random.normal(size=(60, 8)), random.integers(0, 9, 60)
    found = evaluate_cross(vectors, labels, vectors, labels, same_images=True)
    known = evaluate_labelled(vectors, labels, vectors, labels, exclude_self=True)
    assert found.mean_ap == pytest.approx(known.mean_ap)
    assert found.recall_at_1 == pytest.approx(known.recall_at[1])
    assert found.queries == known.queries


def test_averages_of_three_models_by_hand():
    matrix = [
        [0.50, math.nan, math.nan],
        [0.55, 0.60, math.nan],  # above 0.50: compatible
        [0.50, 0.65, 0.80],  # equal to 0.50: not compatible; above 0.60: compatible
    ]
    assert average_compatibility(matrix) == pytest.approx(2 / 3)
    assert average_accuracy(matrix) == pytest.approx((0.5 + 0.55 + 0.6 + 0.5 + 0.65 + 0.8) / 6)


def test_what_is_above_the_diagonal_does_not_count():
    below = np.tril(np.full((4, 4), 0.5))
    above = below + np.triu(np.ones((4, 4)), 1)
    assert average_accuracy(above) == average_accuracy(below) == 0.5
    assert average_compatibility(above) == average_compatibility(below) == 0


@pytest.mark.parametrize("size", [2, 5])
def test_averages_are_the_double_sums_of_the_paper(size):
    matrix = np.random.default_rng(size).random((size, size))
    met = sum(matrix[i, j] > matrix[j, j] for i in range(size) for j in range(i))
    everything = sum(matrix[i, j] for i in range(size) for j in range(i + 1))
    assert average_compatibility(matrix) == pytest.approx(2 / (size * (size - 1)) * met)
    assert average_accuracy(matrix) == pytest.approx(2 / (size * (size + 1)) * everything)


def test_the_gain_is_the_share_of_the_way():
    assert update_gain(0.5, 0.6, 0.9) == pytest.approx(0.25)
    assert update_gain(0.5, 0.4, 0.9) == pytest.approx(-0.25)
    assert math.isnan(update_gain(0.9, 0.9, 0.9))


def test_what_does_not_fit_is_refused():
    rows, labels = np.eye(3), [0, 1, 2]
    with pytest.raises(EvaluationError, match="need as many labels"):
        evaluate_cross(rows, labels[:2], rows, labels)
    with pytest.raises(EvaluationError, match=r"need \(any, 3\)"):
        evaluate_cross(rows[:, :2], labels, rows, labels)
    with pytest.raises(EvaluationError, match="same images in the same order"):
        evaluate_cross(rows, labels[::-1], rows, labels, same_images=True)
    with pytest.raises(EvaluationError, match="square, of at least 2 models"):
        average_compatibility([[1.0]])
    with pytest.raises(EvaluationError, match="square"):
        average_accuracy(np.ones((2, 3)))
    with pytest.raises(EvaluationError, match="without a result"):
        average_accuracy([[1, 0], [math.nan, 1]])
