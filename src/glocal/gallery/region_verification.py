"""Verification of regions in the files: for what is too small in an image to be proven in it.

An image keeps so many local features, and a thing that is small in it has few of them, from a
network that saw it at few pixels. Regions that are much like the query, in images that are not, are
therefore read from their files and verified as images of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import Encoder, EncoderDetector, LocalFeatures
from glocal.gallery.query import Query
from glocal.gallery.read_regions import ReadRegion, ReadRegions
from glocal.gallery.region_search import Box
from glocal.gallery.small_images import shrink
from glocal.gallery.two_verifiers import TwoVerifiers
from glocal.gallery.verifier import VERIFIED, Ranked, Verified, Verifier
from glocal.query.areas import overlap
from glocal.ranking.agreement import agreement
from glocal.ranking.alignment import LEAST_EXCESS
from glocal.ranking.evidence import Evidence
from glocal.ranking.geometry import project
from glocal.ranking.pixels import confirm
from glocal.ranking.verification import Verification, verify

READ = 5
"""How many images are read at most, at some 30 milliseconds each."""

_PROMISING = 0.25
"""The least value, see `RegionVerifier._promising`, at which one is; chosen on images that have no
part in evaluations (docs/decisions.md)."""

_GROWN = 0.25
"""Share of a region's sides that is read on each side of it, since windows cut things."""

_EVIDENCE = 0.2
"""How much a tenfold excess of support in the whole image adds to the similarity of a region."""

_LEAST_SIDE = 0.01

_COARSE = 0.7
"""The scale at which a region is encoded that has no more pixels than that takes."""

_SAME_FRAME = 0.85
"""Intersection over union from which the frame of the points shows no more than what was read."""

_LEAST_AGREEMENT = 0.3
"""Agreement, see `Verification`, below which the frame proves no more. Of 155 frames that were read
the 14 that were matches had an agreement of at least .46 and an overlap of at most .84."""

_CORNERS = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float64)


@dataclass(frozen=True, slots=True)
class RegionVerifier:
    """Verifies regions of images in the images' files.

    Args:
        verifier: of the gallery.
        encoder: the gallery's model.
        known: regions that were read for earlier searches.
    """

    verifier: Verifier | TwoVerifiers
    encoder: Encoder
    known: ReadRegions

    def verify(
        self,
        query: Query,
        ranked: Ranked,
        region: Callable[[UUID], tuple[float, Box] | None],
    ) -> tuple[Ranked, dict[UUID, Box]]:
        """Verify the most promising regions; those that are matches follow the other matches.

        Args:
            query: the query; without pixels nothing is read.
            ranked: its verified matches.
            region: similarity and box of an image's region that is most like the query.

        Returns:
            The matches in their order, and where in those like the query in a region it is.
        """
        if ranked.small is None or ranked.local is None:
            return ranked, {}
        proven, boxes = dict[UUID, Verified](), dict[UUID, Box]()
        for content, box in self._promising(ranked, region):
            found = self._read(query, ranked.small, ranked.local, content, box)
            if found is not None and found.evidence.verdict.is_match:
                proven[content] = found
                boxes[content] = _frame(found.verification) or box
        known = [match for match in ranked.matches if _matches(ranked.verified, match.id)]
        for match in known:
            best, frame = region(match.id), _frame(ranked.verified[match.id].verification)
            if best is not None and best[0] > match.score and frame is not None:
                boxes[match.id] = frame
        new = [match for match in ranked.matches if match.id in proven]
        new.sort(key=lambda match: -self.verifier.calibration.excess(proven[match.id].verification))
        rest = [m for m in ranked.matches if m.id not in proven and m not in known]
        verified = ranked.verified | proven
        return replace(ranked, matches=[*known, *new, *rest], verified=verified), boxes

    def _promising(
        self, ranked: Ranked, region: Callable[[UUID], tuple[float, Box] | None]
    ) -> list[tuple[UUID, Box]]:
        """What to read: images with a region that is more like the query than the whole is.

        Where points of the whole image agree, that is where they do.
        """
        rated = list[tuple[float, UUID, Box]]()
        for match in ranked.matches[:VERIFIED]:
            best, verified = region(match.id), ranked.verified.get(match.id)
            if best is None or verified is None or verified.evidence.verdict.is_match:
                continue
            if best[0] <= match.score:
                continue
            excess = self.verifier.calibration.excess(verified.verification)
            value = best[0] - match.score / 2 + _EVIDENCE * np.log10(1 + excess)
            if value < _PROMISING:
                continue
            frame = _frame(verified.verification) if excess >= LEAST_EXCESS else None
            rated.append((float(value), match.id, _grown(best[1]) if frame is None else frame))
        rated.sort(key=lambda each: -each[0])
        return [(content, box) for _, content, box in rated[:READ]]

    def _read(
        self,
        query: Query,
        small: NDArray[np.uint8],
        local: LocalFeatures,
        content: UUID,
        box: Box,
    ) -> Verified | None:
        """Verify a region; where points agree and prove too little, again just what they frame.

        Not where that is what was read already, or few of the region's points agree.
        """
        found = self._read_once(query, small, local, content, box)
        if (
            found is None
            or found.evidence.verdict.is_match
            or self.verifier.calibration.excess(found.verification) < LEAST_EXCESS
            or found.verification.agreement < _LEAST_AGREEMENT
            or (frame := _frame(found.verification)) is None
            or overlap(frame, box) >= _SAME_FRAME
        ):
            return found
        return self._read_once(query, small, local, content, frame) or found

    def _read_once(
        self,
        query: Query,
        small: NDArray[np.uint8],
        local: LocalFeatures,
        content: UUID,
        box: Box,
    ) -> Verified | None:
        calibration = self.verifier.calibration
        key = self.verifier.detector.name, content, box
        region = self.known.get(key, partial(self._features, content, box))
        if region is None or query.size is None:
            return None
        score = float(region.vector @ query.vector)
        hopeless = partial(calibration.hopeless, score=score)
        found = verify(local, region.local, query.size, region.size, calibration.settings, hopeless)
        evidence = calibration.evaluate(found, score)
        agrees = None
        if found.homography is not None and calibration.excess(found) >= LEAST_EXCESS:
            agrees = agreement(
                small,
                region.small,
                found.homography,
                found.query_points.astype(np.float64),
                found.candidate_points.astype(np.float64),
            )
        evidence = calibration.weigh_agreement(confirm(evidence, None), found, agrees)
        return _in_whole_image(evidence, found, box)

    def _features(self, content: UUID, box: Box) -> ReadRegion | None:
        """Read and encode a region; `None` where no file can be read."""
        detector = self.verifier.detector
        least = max(self.encoder.card.area, detector.area)
        pixels = self.verifier.file_pixels(content, least, box)
        if pixels is None:
            return None
        size = pixels.shape[1], pixels.shape[0]
        scale = _COARSE if size[0] * size[1] < least * _COARSE**2 else 1.0
        (features,) = self.encoder.encode([pixels], scale=scale)
        own = isinstance(detector, EncoderDetector)
        local = features.local if own else detector.detect(pixels, scale=scale)
        scored = local.scored_above(self.verifier.calibration.min_score)
        return ReadRegion(features.vector, scored, shrink(pixels), size)


def _matches(verified: Mapping[UUID, Verified], content: UUID) -> bool:
    return content in verified and verified[content].evidence.verdict.is_match


def _grown(box: Box) -> Box:
    x, y, width, height = box
    return _clipped(
        x - _GROWN * width,
        y - _GROWN * height,
        x + (1 + _GROWN) * width,
        y + (1 + _GROWN) * height,
    )


def _frame(found: Verification) -> Box | None:
    return framed(found.homography)


def framed(homography: NDArray[np.float64] | None) -> Box | None:
    """The box in an image that holds all of the query; `None` where there is none worth reading.

    Args:
        homography: ``(3, 3)`` from query to image, both in fractions of width and height.
    """
    if homography is None:
        return None
    corners = project(homography, _CORNERS)
    if not np.isfinite(corners).all():
        return None
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    box = _clipped(float(left), float(top), float(right), float(bottom))
    return box if min(box[2:]) >= _LEAST_SIDE else None


def _clipped(left: float, top: float, right: float, bottom: float) -> Box:
    left, top = max(left, 0.0), max(top, 0.0)
    return left, top, min(right, 1.0) - left, min(bottom, 1.0) - top


def _in_whole_image(evidence: Evidence, found: Verification, box: Box) -> Verified:
    """Points and homography of a region, in fractions of the image."""
    x, y, width, height = box
    if found.homography is None:
        return Verified(evidence, found)
    homography = np.array([(width, 0, x), (0, height, y), (0, 0, 1)]) @ found.homography
    homography /= np.linalg.norm(homography)
    a, b, c = (tuple(float(value) for value in row) for row in homography)
    points = found.candidate_points * (width, height) + (x, y)
    return Verified(
        replace(evidence, homography=(a, b, c)),  # type: ignore[arg-type]
        replace(found, homography=homography, candidate_points=points.astype(np.float32)),
    )
