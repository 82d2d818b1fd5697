"""A verified pair seen from either side, where neither image is the query."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from glocal.ranking.evidence import Evidence
from glocal.ranking.geometry import project, spread
from glocal.ranking.verification import Verification


def either_way(
    found: Verification, keypoints: NDArray[np.float32], candidate_size: tuple[int, int]
) -> Verification:
    """The side from which more agrees, whichever image was taken for the query.

    Of an image and a crop of it, all that the crop shows agrees with the whole, and little of
    what the whole shows agrees with the crop: `Verification.agreement` counts the parts of the
    candidate that lie in the query. The same map and inliers are counted from the other side here,
    without a second estimate.

    Args:
        found: of a query and a candidate.
        keypoints: ``(m, 2)`` of the query, in fractions of its width and height.
        candidate_size: width and height, in any unit.

    Returns:
        ``found`` with the agreement and coverage of the better side; map and points stay.
    """
    if found.homography is None:
        return found
    ahead = project(found.homography, keypoints.astype(np.float64))
    inside = int(np.all((ahead >= 0) & (ahead <= 1), axis=1).sum())
    agreement = min(found.inliers / max(inside, found.inliers), 1.0)
    if agreement <= found.agreement:
        return found
    width, height = candidate_size
    frame = np.array([width, height]) / np.sqrt(float(width * height))
    coverage = min(spread(found.candidate_points * frame), 1.0)
    return replace(found, agreement=agreement, coverage=coverage)


def turned(evidence: Evidence) -> Evidence:
    """The same evidence with the map from the candidate to the query."""
    if evidence.homography is None:
        return evidence
    back = np.linalg.inv(np.array(evidence.homography))
    back /= np.linalg.norm(back)
    a, b, c = (tuple(float(value) for value in row) for row in back)
    return replace(evidence, homography=((*a,), (*b,), (*c,)))  # type: ignore[arg-type]
