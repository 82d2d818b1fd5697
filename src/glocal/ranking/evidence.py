"""Evidence that two images show the same thing, as a search result holds it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How two images are related; the values are codes for programs, `label` is for people."""

    IDENTICAL_FILE = "identical_file"
    COPY = "copy"
    SAME_OBJECT = "same_object"
    SIMILAR = "similar"

    @property
    def label(self) -> str:
        """The verdict in words, such as ``same object or place``."""
        return _LABELS[self]

    @property
    def is_match(self) -> bool:
        """Whether both show the same thing, and are not merely similar."""
        return self is not Verdict.SIMILAR


_LABELS = {
    Verdict.IDENTICAL_FILE: "identical file",
    Verdict.COPY: "copy",
    Verdict.SAME_OBJECT: "same object or place",
    Verdict.SIMILAR: "similar",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a candidate shows the same thing as the query, or why that is not certain.

    Attributes:
        verdict: how the two images are related.
        same_probability: probability that both show the same object or place, calibrated on pairs
            that the vector alone confuses (see `glocal.ranking.calibration`).
        copy_probability: probability that one was made from the other.
        matches: local features that are mutual nearest neighbours.
        inliers: matches that agree with one homography.
        coverage: share of the query's area that the inliers cover, in [0, 1].
        homography: three rows of the homography from query to candidate, both in fractions of
            their width and height; `None` where none was found.
    """

    verdict: Verdict
    same_probability: float
    copy_probability: float
    matches: int = 0
    inliers: int = 0
    coverage: float = 0.0
    homography: tuple[tuple[float, float, float], ...] | None = None

    @property
    def probability(self) -> float:
        """Probability of the verdict: that of a copy for copies, otherwise that of one object.

        Of an image that is merely similar it is the probability that it shows the same object
        after all.
        """
        return self.copy_probability if self.verdict is Verdict.COPY else self.same_probability


IDENTICAL_FILE = Evidence(Verdict.IDENTICAL_FILE, same_probability=1.0, copy_probability=1.0)
"""The evidence for the query's own file where local features were not compared."""
