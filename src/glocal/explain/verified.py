"""Verify two images that are in memory, for the matches that an explanation draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import EncoderDetector, OnnxEncoder, detect_at_scales, open_detector
from glocal.errors import RankingError
from glocal.explain.matches import Matches
from glocal.ranking.calibration import calibration_for
from glocal.ranking.evidence import Evidence
from glocal.ranking.verification import verify


def verified_matches(
    query: NDArray[np.uint8], hit: NDArray[np.uint8], encoder: OnnxEncoder, score: float
) -> tuple[Matches, Evidence]:
    """Geometric verification of two images, as a search with this model does it.

    Args:
        query: ``(h, w, 3)`` uint8 RGB.
        hit: ``(h, w, 3)`` uint8 RGB.
        encoder: The model; XFeat's local features are matched where its own are not calibrated.
        score: Cosine similarity of the images' vectors.
    """
    detector = EncoderDetector(encoder)
    calibration = calibration_for(detector.name)
    if calibration is None:
        other = open_detector("xfeat", encoder)
        calibration = calibration_for(other.name)
        if calibration is None:
            raise RankingError("no detector of local features is calibrated; install glocal again")
        query_features, hit_features = detect_at_scales(other, query), other.detect(hit)
    else:
        query_features, hit_features = detect_at_scales(detector, query), detector.detect(hit)
    found = verify(
        query_features.scored_above(calibration.min_score),
        hit_features.scored_above(calibration.min_score),
        (query.shape[1], query.shape[0]),
        (hit.shape[1], hit.shape[0]),
        calibration.settings,
    )
    matches = Matches(found.query_points, found.candidate_points, found.homography)
    return matches, calibration.evaluate(found, score)
