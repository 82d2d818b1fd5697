"""Evidence for a pair of images of which neither is the query, as among duplicates."""

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
    """The verification from the side on which more agrees.

    All that a crop shows agrees with the whole image, but little of what the whole image shows
    agrees with the crop, and `Verification.agreement` counts on one side only: among the
    candidate's local features inside the query's frame. Here it is counted on the other side too,
    with the same homography and inliers.

    Args:
        found: The verification of a query and a candidate.
        keypoints: ``(m, 2)``, the query's, in fractions of its width and height.
        candidate_size: The candidate's width and height, in any unit.

    Returns:
        ``found`` with the agreement and coverage of the better side; homography and points stay.
    """
    if found.homography is None:
        return found
    mapped = project(found.homography, keypoints.astype(np.float64))
    inside = int(np.all((mapped >= 0) & (mapped <= 1), axis=1).sum())
    agreement = min(found.inliers / max(inside, found.inliers), 1.0)
    if agreement <= found.agreement:
        return found
    width, height = candidate_size
    frame = np.array([width, height]) / np.sqrt(float(width * height))
    coverage = min(spread(found.candidate_points * frame), 1.0)
    return replace(found, agreement=agreement, coverage=coverage)


def turned(evidence: Evidence) -> Evidence:
    """The same evidence with the homography from the candidate to the query."""
    if evidence.homography is None:
        return evidence
    back = np.linalg.inv(np.array(evidence.homography))
    back /= np.linalg.norm(back)
    a, b, c = (tuple(float(value) for value in row) for row in back)
    return replace(evidence, homography=((*a,), (*b,), (*c,)))  # type: ignore[arg-type]
