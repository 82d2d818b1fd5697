"""Evidence that two images show the same thing, as a search's answer holds it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What two images are to each other."""

    IDENTICAL = "identical file"
    COPY = "copy"
    SAME_OBJECT = "same object or place"
    SIMILAR = "alike"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a candidate is the thing that was sought, or is not.

    Attributes:
        inliers: matched parts that lie in both images as one thing's parts do.
        matches: parts of the two images that choose each other.
        coverage: part of the query's area that the inliers cover, in [0, 1].
        same_probability: that both show the same object or place; calibrated on pairs of which
            the vector thought them alike (see `glocal.ranking.calibration`).
        copy_probability: that one was made of the other.
        verdict: what to call it.
        homography: three rows of the map from query to candidate, both in fractions of their
            width and height; None without a map.
    """

    inliers: int
    matches: int
    coverage: float
    same_probability: float
    copy_probability: float
    verdict: Verdict
    homography: tuple[tuple[float, float, float], ...] | None
