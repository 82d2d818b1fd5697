from __future__ import annotations

import numpy as np

from glocal.cli.report_sheet import SHOWN, worst_and_best


def test_a_query_is_shown_only_once() -> None:
    assert worst_and_best(np.array([0.5, np.nan, 0.1, 0.9])) == ([2, 0, 3], [])


def test_worst_come_first_and_best_do_not_repeat_them() -> None:
    goodness = np.linspace(1, 0, SHOWN + 3)
    worst, best = worst_and_best(goodness)
    assert worst == list(range(SHOWN + 2, 2, -1))
    assert best == [0, 1, 2]


def test_only_ten_worst_and_ten_best_are_shown() -> None:
    goodness = np.random.default_rng(0).permutation(500).astype(float)
    worst, best = worst_and_best(goodness)
    assert goodness[worst].tolist() == list(range(SHOWN))
    assert goodness[best].tolist() == list(range(499, 499 - SHOWN, -1))


def test_equal_queries_are_drawn_at_random() -> None:
    worst, best = worst_and_best(np.r_[np.zeros(50), np.ones(1000)])
    assert max(worst) < 50 <= min(best)
    assert max(best) - min(best) > 500
    assert (worst, best) == worst_and_best(np.r_[np.zeros(50), np.ones(1000)])
