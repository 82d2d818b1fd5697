"""Spatial verification: do the matched parts of two images lie as if they showed one thing?

Mutual matches are verified with PoseLib's LO-RANSAC (Lebeda, Matas and Chum, BMVC 2012), and the
simplest map that explains them is kept: similarity, affine, homography (as Philbin et al., CVPR
2007, go from the simple to the general).
"""

from __future__ import annotations

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

MAX_MATCHES = 400  # the most similar; more add time and no certainty
_ITERATIONS = 1000
_SIMPLER = 0.9  # a simpler map is kept when it explains this much of what the homography does
_UNIT = 320.0  # pixels of an image's square root of area, inside PoseLib


@dataclass(frozen=True, slots=True)
class Settings:
    """How one detector's parts are matched; they come from its calibration.

    Attributes:
        min_similarity: of a matched pair of descriptors.
        tolerance: how far a point may lie from where the map takes it, as a part of the square
            root of an image's area.
    """

    min_similarity: float
    tolerance: float


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """What geometry says of two images.

    Attributes:
        matches: mutual matches.
        inliers: matches that one map explains.
        support: similarities of the inliers, added up.
        coverage: part of the query's area that the inliers cover, in [0, 1].
        agreement: of the candidate's parts that the map takes into the query, those that are
            inliers, in [0, 1].
        homography: ``(3, 3)`` from query to candidate, both in fractions of width and height;
            None when no plausible map was found, and then the numbers but ``matches`` are 0.
        query_points: ``(inliers, 2)``, fractions of the query's width and height.
        candidate_points: ``(inliers, 2)``, of the candidate's.
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
) -> Verification:
    """Verify that two images show one thing.

    Args:
        query: its parts, perhaps at several sizes.
        candidate: its parts.
        query_size: width and height of the upright image, in any unit.
        candidate_size: of the other one.
        settings: of the detector that found the parts.

    The same input gives the same answer. Time is bounded by the number of parts.

    Raises:
        RankingError: the parts are of different detectors.
    """
    matches = _best(
        mutual_nearest(query.descriptors, candidate.descriptors, settings.min_similarity)
    )
    from_query, from_candidate = _frame(query_size), _frame(candidate_size)
    points = query.keypoints[matches.query] * from_query
    seen = candidate.keypoints[matches.candidate] * from_candidate
    found = _estimate(points, seen, settings.tolerance)
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
    """Width and height of the image brought to area 1, so that distances compare."""
    width, height = size
    frame: Points = np.array([width, height], np.float64) / np.sqrt(float(width * height))
    return frame


def _estimate(
    points: Points, seen: Points, tolerance: float
) -> tuple[Points, NDArray[np.bool_]] | None:
    """The simplest plausible map of pairs, and which of them it explains."""
    if len(points) < 5:  # four pairs always agree
        return None
    general = _homography(points, seen, tolerance)
    inliers = explained(general, points, seen, tolerance)
    best = None
    if inliers.sum() >= 5 and is_plausible(general, points[inliers], seen[inliers], tolerance):
        best = general, inliers
    if inliers.sum() >= 3:
        enough = max(_SIMPLER * inliers.sum(), 5)
        for fit in (fit_similarity, fit_affine):
            simple = fit(points[inliers], seen[inliers])
            agree = explained(simple, points, seen, tolerance)
            if agree.sum() >= enough and is_plausible(
                simple, points[agree], seen[agree], tolerance
            ):
                return simple, agree
    return best


def _homography(points: Points, seen: Points, tolerance: float) -> Points:
    import poselib

    options = {
        "max_reproj_error": tolerance * _UNIT,
        "max_iterations": _ITERATIONS,
        "min_iterations": 100,
        "seed": 0,
    }
    homography, _ = poselib.estimate_homography(
        points * _UNIT, seen * _UNIT, options, {"max_iterations": 10}
    )
    scale = np.diag([_UNIT, _UNIT, 1.0])
    return np.asarray(np.linalg.inv(scale) @ homography @ scale)


def _inside(homography: Points, keypoints: NDArray[np.float32]) -> int:
    """How many of the candidate's keypoints the map takes into the query."""
    try:
        back = project(np.asarray(np.linalg.inv(homography)), keypoints.astype(np.float64))
    except np.linalg.LinAlgError:  # a plausible map is none of these, but for rounding
        return 0
    return int(np.all((back >= 0) & (back <= 1), axis=1).sum())
