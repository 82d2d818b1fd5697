from __future__ import annotations

import math
import statistics

import pytest

from glocal.errors import MethodError
from glocal.methods import Check, Claim, Pair
from glocal.methods.claim import _quantile


def claim(comparison="=", margin=0.5, seeds=5) -> Claim:
    return Claim("accuracy", "accuracy of chance", "points", comparison, margin, seeds)


def pairs(*differences: float) -> list[Pair]:
    return [Pair(n, 1.0, 1.0, difference) for n, difference in enumerate(differences)]


def test_the_bound_is_the_lower_end_of_students_interval() -> None:
    differences = [1.0, 2.0, 4.0, 5.0]
    spread = statistics.stdev(differences) / math.sqrt(4)
    by_hand = 3.0 - 2.353 * spread  # the quantile for three degrees of freedom, from a table
    assert claim(">").bound(pairs(*differences)) == pytest.approx(by_hand)


def test_a_noisy_difference_does_not_clear_the_margin_that_its_mean_clears() -> None:
    assert claim(">").met_by(pairs(0.9, 1.0, 1.1))
    assert not claim(">").met_by(pairs(-2.0, 1.0, 4.0))


def test_a_difference_without_noise_is_compared_itself() -> None:
    assert claim(">", 0.99).met_by(pairs(1, 1, 1))
    assert not claim(">", 1.0).met_by(pairs(1, 1, 1))


def test_equality_is_decided_by_the_worst_seed() -> None:
    assert claim("=").met_by(pairs(0, 0.1, 0.5))
    assert not claim("=").met_by(pairs(0, 0, 0, 0.51))


def test_numbers_that_are_not_finite_meet_nothing() -> None:
    assert not claim("=").met_by(pairs(math.nan))
    assert not claim(">").met_by(pairs(1, 1, math.inf))
    assert not claim(">").met_by([])


def test_impossible_claims_are_refused() -> None:
    with pytest.raises(MethodError, match="cannot be decided"):
        claim(">", seeds=2)
    with pytest.raises(MethodError, match="finite"):
        claim("=", margin=math.nan)


@pytest.mark.parametrize(("freedom", "value"), [(1, 6.314), (30, 1.697), (40, 1.684), (120, 1.658)])
def test_quantiles_are_those_of_tables(freedom: int, value: float) -> None:
    assert _quantile(freedom) == pytest.approx(value, abs=0.002)


@pytest.mark.parametrize(
    ("comparison", "measured", "holds"),
    [(">", 2, True), (">", 1, False), ("<", 0.5, True), ("<", 1, False), ("=", 1, True),
     ("=", 2, False), (">", math.nan, False), ("<", math.nan, False)],
)  # fmt: skip
def test_checks_compare_with_their_limit(comparison, measured, holds) -> None:
    assert Check("x", measured, comparison, 1).holds is holds
