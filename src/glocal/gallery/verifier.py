"""Geometric verification of a search's best matches, and their order by all that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import (
    QUERY_SCALES,
    Detector,
    EncoderDetector,
    LocalFeatures,
    detect_at_scales,
)
from glocal.errors import ImageError, QueryError
from glocal.gallery.catalog import Catalog, Content
from glocal.gallery.originals import PIXELS
from glocal.gallery.packed_features import FEW, best_of, small_image, unpack, unpack_few
from glocal.gallery.query import Query, Region
from glocal.gallery.records import Match
from glocal.gallery.small_images import from_jpeg, shrink
from glocal.gallery.small_objects import SMALL_OBJECT_SCALES, find_small_objects
from glocal.images import load
from glocal.ranking import Compare
from glocal.ranking.agreement import agreement
from glocal.ranking.alignment import LEAST_EXCESS, SIDE, align
from glocal.ranking.calibration import Calibration
from glocal.ranking.either_way import either_way
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.layers import Layers
from glocal.ranking.pixels import compare_pixels, confirm
from glocal.ranking.verification import Verification, verify

VERIFIED = 50
"""How many of the best matches are verified, at about half a millisecond each."""

_OVERLAPS_CHECKED = 8
"""How many of those that points do not prove to be the same have their overlap compared, at some
milliseconds each."""

_LEAST_FEATURES = 5
"""Local features of a query at least; fewer agree with anything, or with nothing."""

ALIGNED = 3
"""How many of them are compared with the query by their pixels: the first whose local features
agree, since these alone cannot tell a copy from another photo."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of verifying one match.

    Attributes:
        evidence: the verdict and the numbers behind it.
        verification: the matched points.
    """

    evidence: Evidence
    verification: Verification


@dataclass(frozen=True, slots=True)
class Ranked:
    """Verified matches in their new order.

    Attributes:
        matches: all matches, best first.
        combined: vector and geometric evidence as one number, for the matches that were
            candidates for verification; it orders them.
        verified: the results, for those that have local features.
        complete: whether each of the best `VERIFIED` was compared with the query, so that the
            absence of a match means something.
        local: the query's local features that they were compared with, if there are any.
        small: the query, small and grey, if it has pixels; see `glocal.gallery.small_images`.
    """

    matches: list[Match]
    combined: dict[UUID, float]
    verified: dict[UUID, Verified]
    complete: bool
    local: LocalFeatures | None = None
    small: NDArray[np.uint8] | None = None


def confirmed(
    verified: Verified,
    query_image: NDArray[np.uint8],
    query_layers: Layers,
    query: LocalFeatures,
    read: Callable[[], NDArray[np.uint8] | None],
    packed: bytes,
    size: tuple[int, int],
) -> Verified:
    """A verification result, put right by the pixels.

    Args:
        verified: the result from local features alone.
        query_image: ``(h, w, 3)`` uint8 RGB.
        query_layers: of the same, small and grey.
        query: the query's local features.
        read: gives ``(h, w, 3)`` uint8 RGB of the match's file, or `None` if it cannot be read;
            called where it can still be a copy.
        packed: the match's local features, with its small image if there is one.
        size: width and height of the match.
    """
    found, small = verified.verification, from_jpeg(small_image(packed))
    if small is None and found.homography is not None and (match := read()) is not None:
        small = shrink(match).astype(np.float32)
    comparison, chance = None, 0.0
    if found.homography is not None and small is not None:
        if either_way(found, query.keypoints, size) is found:
            aligned = align(query_layers, small, found.homography)
        else:
            back = np.asarray(np.linalg.inv(found.homography))
            aligned = align(small, query_layers, back).turned()
        chance = aligned.copy_probability
        if aligned.homography is not None and aligned.may_be_copy and (match := read()) is not None:
            comparison = compare_pixels(query_image, match, aligned.homography)
    evidence = replace(verified.evidence, copy_probability=chance)
    return Verified(confirm(evidence, comparison), found)


def overlap_checked(
    verified: Verified,
    query: NDArray[np.uint8] | None,
    packed: bytes,
    calibration: Calibration,
) -> Verified:
    """A verification result, put right by what lies between the points that agree.

    Args:
        verified: the result from local features, and from pixels where it may be a copy.
        query: ``(h, w)`` uint8 grey, small; `None` where the query has no pixels.
        packed: the match's local features, with its small image if there is one. Without two small
            images the points alone decide.
        calibration: of the detector of the local features.
    """
    small = from_jpeg(small_image(packed))
    evidence = overlap_weighed(
        verified.evidence,
        verified.verification,
        query,
        None if small is None else small.astype(np.uint8),
        calibration,
    )
    return Verified(evidence, verified.verification)


def overlap_weighed(
    evidence: Evidence,
    found: Verification,
    query: NDArray[np.uint8] | None,
    match: NDArray[np.uint8] | None,
    calibration: Calibration,
) -> Evidence:
    """Evidence put right by what lies between the points that agree; see `overlap_checked`.

    Args:
        evidence: of local features, and of pixels where it may be a copy.
        found: the points.
        query: ``(h, w)`` uint8 grey, small; `None` where there are no pixels.
        match: likewise.
        calibration: of the detector of the local features.
    """
    if found.homography is None or evidence.verdict in (Verdict.IDENTICAL_FILE, Verdict.COPY):
        return evidence
    if calibration.excess(found) < LEAST_EXCESS:  # chance brings as many points together
        return calibration.weigh_agreement(evidence, found, None)
    if query is None or match is None:
        same = evidence.same_probability >= calibration.same_from
        return replace(evidence, verdict=Verdict.SAME_OBJECT if same else Verdict.SIMILAR)
    agrees = agreement(
        query,
        match,
        found.homography,
        found.query_points.astype(np.float64),
        found.candidate_points.astype(np.float64),
    )
    return calibration.weigh_agreement(evidence, found, agrees)


@dataclass(frozen=True, slots=True)
class Verifier:
    """Verifies the best matches of a search.

    Args:
        catalog: holds every image's local features and size.
        detector: the detector that found these features.
        calibration: of that detector.
    """

    catalog: Catalog
    detector: Detector
    calibration: Calibration

    def verify(
        self,
        query: Query,
        matches: Sequence[Match],
        scores: Sequence[float],
        *,
        scales: Sequence[float] = QUERY_SCALES,
        few: bool = False,
    ) -> Ranked:
        """Verify the best matches and put them in the order of all that is known.

        Those that show the same thing come first.

        Args:
            query: with features or pixels, and its size; otherwise nothing is verified.
            matches: best first; those beyond `VERIFIED` stay below, as they are.
            scores: a falling score for each of the best places, to which evidence is added.
            scales: sizes at which the query's local features are detected.
            few: whether the best local features of each match are enough; see `unpack_few`.
        """
        best, rest = list(matches[:VERIFIED]), matches[VERIFIED:]
        stored = self.catalog.local_features(match.id for match in best)
        facts = self.catalog.contents(stored)
        local = self.features(query, scales) if stored else None
        verified: dict[UUID, Verified] = {}
        opened = unpack_few if few else unpack
        if local is not None and query.size is not None:
            for match in best:
                if match.id not in facts:
                    continue
                content = facts[match.id]
                found = verify(
                    local,
                    self._scored(opened(stored[match.id])),
                    query.size,
                    (content.width, content.height),
                    self.calibration.settings,
                    partial(self.calibration.hopeless, score=match.score),
                )
                evidence = self.calibration.evaluate(
                    found, match.score, identical=match.id == query.identity
                )
                verified[match.id] = Verified(evidence, found)
        ordered, combined = self._ordered(best, scores, verified)
        small = None if query.pixels is None else shrink(query.pixels)
        if local is not None and query.pixels is not None and small is not None:
            layers = Layers(small.astype(np.float32))
            self._confirm_first(query.pixels, layers, local, ordered, stored, facts, verified)
        else:
            for i, each in verified.items():
                if each.evidence.verdict is Verdict.COPY:
                    verified[i] = Verified(confirm(each.evidence, None), each.verification)
        for i in self._doubtful(ordered, verified):
            verified[i] = overlap_checked(verified[i], small, stored[i], self.calibration)
        ordered.sort(key=lambda match: not _matches(verified, match.id))
        complete = (
            local is not None
            and len(local) >= _LEAST_FEATURES
            and all(match.id in verified for match in best)
        )
        return Ranked([*ordered, *rest], combined, verified, complete, local, small)

    def _confirm_first(
        self,
        pixels: NDArray[np.uint8],
        layers: Layers,
        query: LocalFeatures,
        ordered: Sequence[Match],
        stored: Mapping[UUID, bytes],
        facts: Mapping[UUID, Content],
        verified: dict[UUID, Verified],
    ) -> None:
        """Tell copies among the first matches whose local features agree, by their pixels.

        What was not compared is no copy.
        """
        agreeing = [
            match.id
            for match in ordered
            if match.id in verified
            and verified[match.id].evidence.verdict is not Verdict.IDENTICAL_FILE
            and self.calibration.excess(verified[match.id].verification) >= LEAST_EXCESS
        ]
        for i in agreeing[:ALIGNED]:
            size = facts[i].width, facts[i].height
            least = _enough(pixels, verified[i].verification)
            read = partial(self.file_pixels, i, least)
            verified[i] = confirmed(verified[i], pixels, layers, query, read, stored[i], size)
        for i, each in verified.items():
            if i not in agreeing[:ALIGNED] and each.evidence.verdict is Verdict.COPY:
                verified[i] = Verified(confirm(each.evidence, None), each.verification)

    def _doubtful(self, ordered: Sequence[Match], verified: Mapping[UUID, Verified]) -> list[UUID]:
        """Those called the same, and of the others the first whose local features agree."""
        same = [match.id for match in ordered if _matches(verified, match.id)]
        others = [
            match.id
            for match in ordered
            if match.id in verified
            and not _matches(verified, match.id)
            and self.calibration.excess(verified[match.id].verification) >= LEAST_EXCESS
        ]
        return same + others[:_OVERLAPS_CHECKED]

    def file_pixels(
        self, content: UUID, least: int, region: Region | None = None
    ) -> NDArray[np.uint8] | None:
        """A match's file, or a region of it, decoded no finer than is of use beside the query."""
        for _, path in self.catalog.files_of([content]).get(content, []):
            try:
                return load(path, min_pixels=least, region=region).array
            except (ImageError, QueryError, OSError):
                continue
        return None

    def compare(
        self, compare: Compare, query: Query, matches: Sequence[Match]
    ) -> dict[UUID, float]:
        """Score those of the matches that have local features by a reranker of local features."""
        local = self.features(query, (1.0,))
        if local is None:
            return {}
        stored = self.catalog.local_features(match.id for match in matches)
        return {i: compare(local, self._scored(unpack(each))) for i, each in stored.items()}

    def find_small_objects(
        self,
        pixels: NDArray[np.uint8],
        count: int,
        allowed: Callable[[list[UUID]], set[UUID]],
    ) -> list[Match]:
        """Search all local features; see `glocal.gallery.small_objects`."""
        found = (self.detector.detect(pixels, scale=scale) for scale in SMALL_OBJECT_SCALES)
        if isinstance(self.detector, EncoderDetector):
            found = (best_of(local, FEW) for local in found)
        queries = [self._scored(local) for local in found]
        least = self.calibration.min_score
        return find_small_objects(self.catalog, queries, count, least, allowed)

    def features(self, query: Query, scales: Sequence[float]) -> LocalFeatures | None:
        """The query's local features: at several sizes where there are pixels."""
        if query.pixels is not None:
            passed = dict(query.scaled)
            if query.features is not None:
                passed[1.0] = query.features
            return self._scored(
                detect_at_scales(self.detector, query.pixels, scales, passed=passed)
            )
        return None if query.features is None else self._scored(query.features)

    def _scored(self, features: LocalFeatures) -> LocalFeatures:
        return features.scored_above(self.calibration.min_score)

    def _ordered(
        self, best: list[Match], scores: Sequence[float], verified: dict[UUID, Verified]
    ) -> tuple[list[Match], dict[UUID, float]]:
        """By vector and evidence together; the query's own file comes first."""
        excess = [
            self.calibration.excess(verified[m.id].verification) if m.id in verified else 0.0
            for m in best
        ]
        combined = self.calibration.combine(scores[: len(best)], excess)
        not_identical = np.array(
            [
                m.id not in verified
                or verified[m.id].evidence.verdict is not Verdict.IDENTICAL_FILE
                for m in best
            ]
        )
        order = np.lexsort((-combined, not_identical))
        return [best[i] for i in order], {best[i].id: float(combined[i]) for i in order}


def _matches(verified: Mapping[UUID, Verified], content: UUID) -> bool:
    return content in verified and verified[content].evidence.verdict.is_match


def _enough(query: NDArray[np.uint8], found: Verification) -> int:
    """Pixels of a match at which what it has of the query is no coarser than the query."""
    h = found.homography
    if h is None:
        return SIDE * SIDE
    depth = float(h[2] @ (0.5, 0.5, 1.0))
    part = abs(float(np.linalg.det(h)) / depth**3) if depth else 1.0
    wanted = 1.5 * query.shape[0] * query.shape[1] / max(part, 0.05)  # JPEG's scales are coarse
    return int(min(max(wanted, SIDE * SIDE), PIXELS))
