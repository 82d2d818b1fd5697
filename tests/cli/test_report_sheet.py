from __future__ import annotations

import numpy as np

from glocal.cli.report_sheet import SHOWN, chosen


def test_few_queries_are_shown_once() -> None:
    assert chosen(np.array([0.5, np.nan, 0.1, 0.9])) == ([2, 0, 3], [])


def test_worst_come_first_and_best_do_not_repeat_them() -> None:
    goodness = np.linspace(1, 0, SHOWN + 3)
    worst, best = chosen(goodness)
    assert worst == list(range(SHOWN + 2, 2, -1))
    assert best == [0, 1, 2]


def test_many_queries() -> None:
    goodness = np.random.default_rng(0).permutation(500).astype(float)
    worst, best = chosen(goodness)
    assert goodness[worst].tolist() == list(range(SHOWN))
    assert goodness[best].tolist() == list(range(499, 499 - SHOWN, -1))


def test_equal_queries_are_drawn_from_everywhere() -> None:
    worst, best = chosen(np.r_[np.zeros(50), np.ones(1000)])
    assert max(worst) < 50 <= min(best)
    assert max(best) - min(best) > 500
    assert (worst, best) == chosen(np.r_[np.zeros(50), np.ones(1000)])
