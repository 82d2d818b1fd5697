"""Geometric verification: do the matches of two images agree with one view of one object?

Mutual nearest neighbours are verified with PoseLib's LO-RANSAC (Lebeda, Matas and Chum, BMVC 2012),
and the simplest transformation that explains them is kept: a similarity, an affine transformation
or a homography (Philbin et al., CVPR 2007, also go from simple to general).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glocal.ranking.geometry import (
    Points,
    explained,
    fit_affine,
    fit_similarity,
    is_plausible,
    project,
    spread,
)
from glocal.ranking.matching import Matches, mutual_nearest

if TYPE_CHECKING:
    from glocal.encoders import LocalFeatures

MAX_MATCHES = 400  # the most similar; more take time and add no certainty
ITERATIONS = 1000
"""Samples of four matches that RANSAC takes at most."""

_SIMPLER = 0.9  # share of the homography's inliers from which a simpler transformation is kept
_UNIT = 320.0  # square root of an image's area in pixels, inside PoseLib
_FROM_UNIT = np.array([[1, 1, 1 / _UNIT], [1, 1, 1 / _UNIT], [_UNIT, _UNIT, 1]])


@dataclass(frozen=True, slots=True)
class Settings:
    """How one detector's local features are matched; part of its calibration.

    Attributes:
        min_similarity: Least similarity of two matched descriptors.
        tolerance: How far a point may lie from where the homography takes it, as a fraction of
            the square root of an image's area.
    """

    min_similarity: float
    tolerance: float


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """The result of geometric verification.

    Attributes:
        matches: Number of mutual nearest neighbours.
        inliers: Number of matches that agree with the homography.
        support: Sum of the inliers' similarities.
        coverage: Share of the query's area that the inliers cover, in [0, 1].
        agreement: Share of inliers among the candidate's local features that lie inside the
            query's frame, in [0, 1].
        homography: ``(3, 3)`` from query to candidate, both in fractions of width and height;
            None when no plausible one was found; then all numbers but ``matches`` are 0.
        query_points: ``(inliers, 2)``, in fractions of the query's width and height.
        candidate_points: ``(inliers, 2)``, in fractions of the candidate's.
    """

    matches: int
    inliers: int
    support: float
    coverage: float
    agreement: float
    homography: NDArray[np.float64] | None
    query_points: NDArray[np.float32]
    candidate_points: NDArray[np.float32]


def verify(
    query: LocalFeatures,
    candidate: LocalFeatures,
    query_size: tuple[int, int],
    candidate_size: tuple[int, int],
    settings: Settings,
    hopeless: Callable[[float, int], bool] | None = None,
    iterations: int = ITERATIONS,
) -> Verification:
    """Verify that two images show the same object.

    Args:
        query: The query's local features, perhaps at several scales.
        candidate: The candidate's local features.
        query_size: Width and height of the upright query, in any unit.
        candidate_size: Width and height of the candidate.
        settings: The settings of the detector that found the local features.
        hopeless: Told the support of a first homography and the number of matches: whether nothing
            can come of it, and no simpler transformation has to be tried.
        iterations: Samples of four matches at most; where a good part of them agrees, fewer do.

    The same input gives the same result. Time is bounded by the number of local features.

    Raises:
        RankingError: The local features are of different detectors.
    """
    matches = _best(
        mutual_nearest(query.descriptors, candidate.descriptors, settings.min_similarity)
    )
    from_query, from_candidate = _frame(query_size), _frame(candidate_size)
    points = query.keypoints[matches.query] * from_query
    matched = candidate.keypoints[matches.candidate] * from_candidate

    def worth(inliers: NDArray[np.bool_]) -> bool:
        support = float(matches.similarity[inliers].sum())
        return hopeless is None or not hopeless(support, len(matches))

    found = _estimate(points, matched, settings.tolerance, worth, iterations)
    if found is None:
        none = np.empty((0, 2), np.float32)
        return Verification(len(matches), 0, 0.0, 0.0, 0.0, None, none, none)
    homography, inliers = found
    homography = np.diag([*(1 / from_candidate), 1]) @ homography @ np.diag([*from_query, 1])
    count = int(inliers.sum())
    return Verification(
        matches=len(matches),
        inliers=count,
        support=float(matches.similarity[inliers].sum()),
        coverage=min(spread(points[inliers]), 1.0),
        agreement=min(count / max(_inside(homography, candidate.keypoints), count), 1.0),
        homography=homography / np.linalg.norm(homography),
        query_points=query.keypoints[matches.query[inliers]],
        candidate_points=candidate.keypoints[matches.candidate[inliers]],
    )


def _best(matches: Matches) -> Matches:
    if len(matches) <= MAX_MATCHES:
        return matches
    chosen = np.sort(np.argsort(-matches.similarity, kind="stable")[:MAX_MATCHES])
    return Matches(matches.query[chosen], matches.candidate[chosen], matches.similarity[chosen])


def _frame(size: tuple[int, int]) -> Points:
    """Width and height of the image scaled to area 1, so that distances are comparable."""
    width, height = size
    frame: Points = np.array([width, height], np.float64) / np.sqrt(float(width * height))
    return frame


def _estimate(
    points: Points,
    matched: Points,
    tolerance: float,
    worth: Callable[[NDArray[np.bool_]], bool],
    iterations: int,
) -> tuple[Points, NDArray[np.bool_]] | None:
    """The simplest plausible transformation of matched points, and its inliers."""
    if len(points) < 5:  # four pairs always agree with some homography
        return None
    general = _homography(points, matched, tolerance, iterations)
    inliers = explained(general, points, matched, tolerance)
    if not worth(inliers):
        return None
    best = None
    if inliers.sum() >= 5 and is_plausible(general, points[inliers], matched[inliers], tolerance):
        best = general, inliers
    if inliers.sum() >= 3:
        enough = max(_SIMPLER * inliers.sum(), 5)
        for fit in (fit_similarity, fit_affine):
            simple = fit(points[inliers], matched[inliers])
            agree = explained(simple, points, matched, tolerance)
            if agree.sum() >= enough and is_plausible(
                simple, points[agree], matched[agree], tolerance
            ):
                return simple, agree
    return best


def _homography(points: Points, matched: Points, tolerance: float, iterations: int) -> Points:
    import poselib

    options = {
        "max_reproj_error": tolerance * _UNIT,
        "max_iterations": iterations,
        "min_iterations": 100,
        "seed": 0,
    }
    homography, _ = poselib.estimate_homography(
        points * _UNIT, matched * _UNIT, options, {"max_iterations": 10}
    )
    return np.asarray(homography * _FROM_UNIT)


def _inside(homography: Points, keypoints: NDArray[np.float32]) -> int:
    """How many of the candidate's keypoints lie inside the query's frame."""
    try:
        back = project(np.asarray(np.linalg.inv(homography)), keypoints.astype(np.float64))
    except np.linalg.LinAlgError:  # a plausible homography is not singular, except by rounding
        return 0
    return int(np.all((back >= 0) & (back <= 1), axis=1).sum())
