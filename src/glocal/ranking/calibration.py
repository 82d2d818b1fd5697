"""From counts to probabilities: how much a detector's matches prove.

Every detector has an entry in ``calibration.json``, fitted by
``benchmarks/calibrate_verification.py`` on pairs whose vectors are similar.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cache
from math import exp, log1p, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import RankingError
from glocal.ranking.agreement import Agreement
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.verification import Settings, Verification

DOUBTFUL = 0.5
"""Probability at most of two images whose points agree and whose pixels between them do not."""

_ALIKE_COVERAGE = 0.45  # points on a part of the overlap prove nothing for the rest of it
_ALIKE_AGREEMENT = 0.4

_MORE = 3.0
"""Support that a simpler transformation may bring beyond that of a homography without any; over
4,636 pairs it brought 2.3 at most."""

FILE = Path(__file__).with_name("calibration.json")


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic model: the probability is ``1 / (1 + exp(-(bias + weights · signs)))``."""

    bias: float
    weights: tuple[float, ...]

    def __call__(self, signs: tuple[float, ...]) -> float:
        """The probability, in (0, 1), for `Calibration.signs`."""
        total = self.bias
        for weight, sign in zip(self.weights, signs, strict=True):
            total += weight * sign
        return 1 / (1 + exp(-min(max(total, -30.0), 30.0)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """How one detector's local features are matched and how much the result proves.

    Attributes:
        settings: Settings of `glocal.ranking.verification.verify`.
        min_score: Local features with lower scores are left out, in queries and in candidates.
        floor: Support that two unrelated images have by chance, whatever their matches.
        per_match: Support that each match adds to that by chance.
        order_weight: How much a tenfold excess of support adds to the vectors' similarity.
        same: Model of the probability that both show the same object or place.
        copy: Model of the probability that one is a copy of the other.
        same_from: The least probability at which the verdict is *same object or place*.
        copy_from: The least probability at which it is *copy*.
    """

    settings: Settings
    min_score: float
    floor: float
    per_match: float
    order_weight: float
    same: Logistic
    copy: Logistic
    same_from: float
    copy_from: float

    def excess(self, found: Verification) -> float:
        """Support beyond what chance explains, at least 0."""
        return max(0.0, found.support - self.floor - self.per_match * found.matches)

    def hopeless(self, support: float, matches: int, score: float) -> bool:
        """Whether a first homography has so little support that the images cannot match by it.

        Args:
            support: Sum of the similarities of the homography's inliers.
            matches: Number of mutual nearest neighbours.
            score: Cosine similarity of the vectors.

        It has no more than chance brings, and even with some more, and agreement everywhere, the
        images would be called neither the same nor a copy.
        """
        if support > self.floor + self.per_match * matches:
            return False
        return not self.may_match(_MORE, score)

    def may_match(self, excess: float, score: float) -> bool:
        """Whether two images can be called the same or a copy by their points.

        Args:
            excess: What `excess` gives at most.
            score: Cosine similarity of the vectors.
        """
        signs = log1p(excess), 1.0, 1.0, 1.0, score
        return self.same(signs) >= self.same_from or self.copy(signs) >= self.copy_from

    def signs(self, found: Verification, score: float) -> tuple[float, ...]:
        """The inputs of the logistic models.

        They are the excess, whether there is a homography, coverage, agreement and the vectors'
        cosine similarity.
        """
        return (
            log1p(self.excess(found)),
            float(found.homography is not None),
            sqrt(found.coverage),
            found.agreement,
            score,
        )

    def evaluate(self, found: Verification, score: float, *, identical: bool = False) -> Evidence:
        """Evidence for a candidate.

        Args:
            found: The result of geometric verification.
            score: Cosine similarity of the vectors.
            identical: Whether both are the same file.
        """
        signs = self.signs(found, score)
        same, copied = (1.0, 1.0) if identical else (self.same(signs), self.copy(signs))
        verdict = Verdict.SIMILAR
        if identical:
            verdict = Verdict.IDENTICAL_FILE
        elif found.homography is not None and copied >= self.copy_from:
            verdict = Verdict.COPY
        elif found.homography is not None and same >= self.same_from:
            verdict = Verdict.SAME_OBJECT
        rows = found.homography
        return Evidence(
            verdict=verdict,
            same_probability=same,
            copy_probability=copied,
            matches=found.matches,
            inliers=found.inliers,
            coverage=found.coverage,
            homography=None
            if rows is None
            else tuple((float(a), float(b), float(c)) for a, b, c in rows),
        )

    def weigh_agreement(
        self, evidence: Evidence, found: Verification, agreement: Agreement | None
    ) -> Evidence:
        """Evidence of points, put right by what lies between them.

        Where all that both show looks alike they are the same, even if the vectors differ, as
        those of a crop do; where a part of it does not, they are not. Copies stay copies: their
        pixels were compared.

        Args:
            evidence: Of a candidate.
            found: The result of its geometric verification.
            agreement: Of small images; None where they have too little in common to tell, and then
                points alone do not prove anything.
        """
        if evidence.verdict in (Verdict.IDENTICAL_FILE, Verdict.COPY):
            return evidence
        chance = evidence.same_probability
        if agreement is None or agreement.differs:
            chance = min(chance, DOUBTFUL)
        elif (
            agreement.is_alike
            and found.coverage >= _ALIKE_COVERAGE
            and found.agreement >= _ALIKE_AGREEMENT
        ):
            chance = max(chance, self.same_from)
        verdict = Verdict.SAME_OBJECT if chance >= self.same_from else Verdict.SIMILAR
        return replace(evidence, verdict=verdict, same_probability=chance)

    def combine(self, scores: ArrayLike, excesses: ArrayLike) -> NDArray[np.float64]:
        """Scores to order by: the vectors' similarity, raised by evidence.

        Without evidence a score stays the same, so that candidates that were not verified stay
        below those that were and ranked above them.

        Args:
            scores: ``(n,)`` cosine similarities.
            excesses: ``(n,)`` values of `excess`.
        """
        added = np.log1p(np.asarray(excesses, np.float64)) / np.log(10)
        return np.asarray(np.asarray(scores, np.float64) + self.order_weight * added)


@cache
def calibrations(file: Path = FILE) -> dict[str, Calibration]:
    """All calibrations, by the name of the detector.

    Raises:
        RankingError: The file is damaged.
    """
    try:
        return {
            name: _read(entry)
            for name, entry in json.loads(file.read_text(encoding="utf-8")).items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RankingError(
            f"the calibrations {file} cannot be read: {error!r}; install glocal again"
        ) from error


def calibration_for(detector: str) -> Calibration | None:
    """A detector's calibration; None where there is none, and nothing can be verified."""
    return calibrations().get(detector)


def write_calibration(file: Path, detector: str, calibration: Calibration) -> None:
    """Write a detector's entry to a file of calibrations, which may not exist yet."""
    entries = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    entries[detector] = asdict(calibration)
    file.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _read(entry: dict[str, Any]) -> Calibration:
    plain = {key: float(entry[key]) for key in _NUMBERS}
    return Calibration(
        settings=Settings(**{key: float(value) for key, value in entry["settings"].items()}),
        same=_logistic(entry["same"]),
        copy=_logistic(entry["copy"]),
        **plain,
    )


_NUMBERS = ("min_score", "floor", "per_match", "order_weight", "same_from", "copy_from")


def _logistic(entry: dict[str, Any]) -> Logistic:
    return Logistic(float(entry["bias"]), tuple(float(weight) for weight in entry["weights"]))
