"""What the local features of two images of a gallery tell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from glocal.encoders import LocalFeatures
from glocal.gallery.catalog import Content
from glocal.ranking.alignment import LEAST_EXCESS
from glocal.ranking.calibration import Calibration
from glocal.ranking.either_way import either_way
from glocal.ranking.evidence import Evidence
from glocal.ranking.geometry import Points
from glocal.ranking.verification import ITERATIONS, Verification, verify

FEWER_ITERATIONS = 500
"""Samples for RANSAC where the vectors are so unlike that points alone prove nothing and a copy is
all there may be; docs/decisions.md has how many of the matches of such copies agree."""


@dataclass(frozen=True, slots=True, eq=False)
class PairPoints:
    """What the local features of two images tell.

    Attributes:
        evidence: of them alone.
        found: the points that agree, one way or the other.
        homography: from the first to the second; `None` where the pixels need not be asked.
        on_top: whether the second image shows less, so that the first agrees with all of it.
    """

    evidence: Evidence
    found: Verification
    homography: Points | None
    on_top: bool


def pair_points(
    one: tuple[Content, LocalFeatures],
    other: tuple[Content, LocalFeatures],
    score: float,
    calibration: Calibration,
) -> PairPoints:
    """Verify two images, of which the catalogue's rows and local features are given."""
    (content, local), (other_content, other_local) = one, other
    size = other_content.width, other_content.height
    most = min(len(local.keypoints), len(other_local.keypoints))  # of support: no match has more
    found = verify(
        local,
        other_local,
        (content.width, content.height),
        size,
        calibration.settings,
        partial(calibration.hopeless, score=score),
        ITERATIONS if calibration.may_match(most, score) else FEWER_ITERATIONS,
    )
    better = either_way(found, local.keypoints, size)
    supported = calibration.excess(found) >= LEAST_EXCESS
    return PairPoints(
        calibration.evaluate(better, score),
        better,
        found.homography if supported else None,
        on_top=better is not found,
    )
