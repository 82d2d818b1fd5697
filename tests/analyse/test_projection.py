from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from glocal.analyse import study_projection
from glocal.errors import AnalysisError


def slow_accuracy(rows, labels, k):
    right = 0
    for number, row in enumerate(rows):
        cosines = rows @ row / np.linalg.norm(rows, axis=1)
        cosines[number] = -np.inf
        votes = [labels[other] for other in np.argsort(-cosines)[:k]]
        most = max(Counter(votes).values())
        winner = next(label for label in votes if Counter(votes)[label] == most)
        right += winner == labels[number]
    return right / len(rows)


def test_a_projection_that_drops_a_label_s_direction_is_found():
    random = np.random.default_rng(3)
    labels = np.array(list("abcd"))[np.arange(80) % 4]
    centres = {"a": (1, 1, 0), "b": (1, -1, 0), "c": (-1, 1, 0), "d": (-1, -1, 0)}
    before = np.array([centres[label] for label in labels]) + random.normal(0, 0.15, (80, 3))
    after = before[:, :1] * [[1.0, 0.2]] + random.normal(0, 0.01, (80, 2))
    found = study_projection(before, after, labels, k=5)
    assert found.before == 1
    assert found.after < 0.8
    assert found.rank_before > found.rank_after > 1


def test_accuracies_equal_a_slow_loop():
    random = np.random.default_rng(4)
    before, labels = random.normal(size=(40, 6)), random.integers(0, 3, 40)
    found = study_projection(before, before[:, :3], labels, k=4)
    ranked = [slow_accuracy(rows, labels, 4) for rows in (before, before[:, :3])]
    assert [found.before, found.after] == pytest.approx(ranked)


def test_directions_of_equal_spread_have_full_rank():
    rows = np.concatenate([np.eye(5), -np.eye(5)])
    assert study_projection(rows, rows, np.arange(10) % 5, k=1).rank_before == pytest.approx(5)


def test_rows_that_do_not_fit_are_refused():
    rows = np.ones((4, 3))
    with pytest.raises(AnalysisError, match="more than k"):
        study_projection(rows, rows, [0, 1, 0, 1], k=4)
    with pytest.raises(AnalysisError, match="3 labels"):
        study_projection(rows, rows, [0, 1, 0], k=1)
