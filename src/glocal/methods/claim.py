"""What a trial claims, and whether measured numbers meet it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from glocal.errors import MethodError

Comparison = Literal[">", "<", "="]

# One-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom.
_STUDENT = (
    *(6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812),
    *(1.796, 1.782, 1.771, 1.761, 1.753, 1.746, 1.740, 1.734, 1.729, 1.725),
    *(1.721, 1.717, 1.714, 1.711, 1.708, 1.706, 1.703, 1.701, 1.699, 1.697),
)


@dataclass(frozen=True, slots=True)
class Check:
    """A number that has to be right besides the claim, such as a count of parameters.

    Attributes:
        what: What was counted or measured.
        measured: The number.
        comparison: How it has to compare with the limit.
        limit: The number to compare with.
    """

    what: str
    measured: float
    comparison: Comparison
    limit: float

    @property
    def holds(self) -> bool:
        """Whether the number is right; nan never is."""
        if self.comparison == ">":
            return self.measured > self.limit
        if self.comparison == "<":
            return self.measured < self.limit
        return self.measured == self.limit


@dataclass(frozen=True, slots=True)
class Pair:
    """What one seed gave.

    Attributes:
        seed: The seed that both numbers are from.
        measured: Number of the method; root of the mean square where it gave an array.
        baseline: Number of the baseline, likewise.
        difference: For ``>`` measured minus baseline; for ``<`` baseline minus measured; for ``=``
            the largest deviation in parts of the baseline's root mean square, at least 0.
        checks: Further numbers of the method.
    """

    seed: int
    measured: float
    baseline: float
    difference: float
    checks: tuple[Check, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Claim:
    """What is measured, against what, and by how much they have to differ.

    Attributes:
        measured: What is measured of the method.
        baseline: What it is compared with.
        unit: Unit of both numbers.
        comparison: ``>`` and ``<``: the lower confidence bound of the mean difference has to
            exceed the margin; ``=``: no deviation of any seed may exceed it.
        margin: In the unit for ``>`` and ``<``, at least 0; in parts of the baseline for ``=``.
        seeds: Number of paired seeds.
    """

    measured: str
    baseline: str
    unit: str
    comparison: Comparison
    margin: float
    seeds: int = 5

    def __post_init__(self) -> None:
        least = 1 if self.comparison == "=" else 3
        if self.comparison not in (">", "<", "=") or self.seeds < least:
            raise MethodError(
                f"a claim {self.comparison!r} of {self.seeds} seeds cannot be decided; use '=' "
                "with at least one seed, or '>' or '<' with at least 3"
            )
        if not math.isfinite(self.margin):
            raise MethodError(f"the margin of a claim has to be finite, not {self.margin}")

    def met_by(self, pairs: Sequence[Pair]) -> bool:
        """Whether these numbers meet the claim; numbers that are not finite never do."""
        if not pairs or not all(math.isfinite(pair.difference) for pair in pairs):
            return False
        if self.comparison == "=":
            return self.bound(pairs) <= self.margin
        return self.bound(pairs) > self.margin

    def bound(self, pairs: Sequence[Pair]) -> float:
        """What is compared with the margin.

        Returns:
            The largest deviation for ``=``; otherwise the lower end of the one-sided 95 %
            confidence interval of the mean of the paired differences, by Student's t.
        """
        differences = [pair.difference for pair in pairs]
        if self.comparison == "=":
            return max(differences)
        count = len(differences)
        mean = math.fsum(differences) / count
        if count == 1:
            return mean
        variance = math.fsum((each - mean) ** 2 for each in differences) / (count - 1)
        return mean - _quantile(count - 1) * math.sqrt(variance / count)


def _quantile(freedom: int) -> float:
    if freedom <= len(_STUDENT):
        return _STUDENT[freedom - 1]
    normal = 1.6449
    return normal + (normal**3 + normal) / (4 * freedom)  # exact to 0.001 from 30 on
