"""The second look: a search's best matches, verified by their local features and ordered anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import QUERY_SCALES, Detector, LocalFeatures, detect_at_scales
from glocal.gallery.catalog import Catalog, Content
from glocal.gallery.packed_features import small_image, unpack
from glocal.gallery.records import Match
from glocal.gallery.small_objects import SMALL_OBJECT_SCALES, find_small_objects
from glocal.gallery.thumbnails import from_jpeg, shrink
from glocal.ranking import Compare
from glocal.ranking.alignment import LEAST_EXCESS, settle
from glocal.ranking.calibration import Calibration
from glocal.ranking.either_way import either_way
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.verification import Verification, verify

VERIFIED = 50
"""How many of the best matches are verified: about half a millisecond each."""

CLOSER = 3
"""How many are looked at to the pixel, where parts agree and cannot tell copies: 5 to 25
milliseconds each."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a second look at a match found.

    Attributes:
        evidence: in numbers and words.
        verification: with the points themselves.
    """

    evidence: Evidence
    verification: Verification


def closer(
    seen: Verified,
    asked: NDArray[np.float32],
    query: LocalFeatures,
    packed: bytes,
    size: tuple[int, int],
) -> Verified:
    """What was seen, corrected by the pixels of the small image that the gallery keeps.

    Args:
        seen: of a match.
        asked: the query, small and grey.
        query: its parts.
        packed: the match's parts, and its small image if there is one.
        size: width and height of the match.
    """
    found, small = seen.verification, from_jpeg(small_image(packed))
    if found.homography is None or small is None:
        return seen
    on_top = either_way(found, query.keypoints, size) is found
    evidence = settle(seen.evidence, asked, small, found.homography, first_on_top=on_top)
    return Verified(evidence, found)


@dataclass(frozen=True, slots=True)
class Verifier:
    """Looks again at the best matches of a search.

    Args:
        catalog: the gallery's, which has every image's local features and size.
        detector: that found these parts.
        calibration: of that detector.
    """

    catalog: Catalog
    detector: Detector
    calibration: Calibration

    def look(
        self,
        image: NDArray[np.uint8],
        matches: Sequence[Match],
        identity: UUID | None,
        *,
        rough: Sequence[float],
        scales: Sequence[float] = QUERY_SCALES,
        passed: LocalFeatures | None = None,
    ) -> tuple[list[Match], dict[UUID, Verified]]:
        """Verify the best matches and put them in order of all that is known.

        Args:
            image: the query or the sought region of it, ``(h, w, 3)`` uint8 RGB.
            matches: best first; those beyond `VERIFIED` stay below, as they are.
            identity: the content that is the query's own file, if it is one.
            rough: a score for each of the best places, falling, to which evidence is added.
            scales: sizes at which to look at the query.
            passed: the query's parts that the encoder found when it made the vector.

        Returns:
            all matches in their new order, and what was seen of those that have local features.
        """
        best, rest = list(matches[:VERIFIED]), matches[VERIFIED:]
        stored = self.catalog.local_features(match.id for match in best)
        facts = self.catalog.contents(stored)
        query = None
        if stored:
            query = self._strong(detect_at_scales(self.detector, image, scales, passed=passed))
        size = (image.shape[1], image.shape[0])
        seen: dict[UUID, Verified] = {}
        for match in best:
            if query is None or match.id not in facts:
                continue
            content = facts[match.id]
            found = verify(
                query,
                self._strong(unpack(stored[match.id])),
                size,
                (content.width, content.height),
                self.calibration.settings,
            )
            evidence = self.calibration.evaluate(found, match.score, identical=match.id == identity)
            seen[match.id] = Verified(evidence, found)
        ordered = self._ordered(best, rough, seen)
        if query is not None:
            self._look_closer(image, query, ordered, stored, facts, seen)
        return [*ordered, *rest], seen

    def _look_closer(
        self,
        image: NDArray[np.uint8],
        query: LocalFeatures,
        ordered: Sequence[Match],
        stored: Mapping[UUID, bytes],
        facts: Mapping[UUID, Content],
        seen: dict[UUID, Verified],
    ) -> None:
        """Lay the first images whose parts agree, and say no more, over the query: copies?"""
        open_questions = (
            match.id
            for match in ordered
            if match.id in seen
            and seen[match.id].evidence.verdict in (Verdict.SAME_OBJECT, Verdict.SIMILAR)
            and self.calibration.excess(seen[match.id].verification) >= LEAST_EXCESS
        )
        asked = shrink(image).astype(np.float32)
        for i in islice(open_questions, CLOSER):
            size = facts[i].width, facts[i].height
            seen[i] = closer(seen[i], asked, query, stored[i], size)

    def compared(
        self, compare: Compare, image: NDArray[np.uint8], matches: Sequence[Match]
    ) -> dict[UUID, float]:
        """Score those of the matches that have local features by a `LocalReranking`."""
        query = self._strong(self.detector.detect(image))
        stored = self.catalog.local_features(match.id for match in matches)
        return {i: compare(query, self._strong(unpack(parts))) for i, parts in stored.items()}

    def find_small_objects(
        self,
        image: NDArray[np.uint8],
        count: int,
        allowed: Callable[[list[UUID]], set[UUID]],
    ) -> list[Match]:
        """The images whose parts answer the query's best; see `glocal.gallery.small_objects`."""
        looks = [self._strong(self.detector.detect(image, scale=s)) for s in SMALL_OBJECT_SCALES]
        strength = self.calibration.min_score
        return find_small_objects(self.catalog, looks, count, strength, allowed)

    def _strong(self, parts: LocalFeatures) -> LocalFeatures:
        return parts.scored_above(self.calibration.min_score)

    def _ordered(
        self, best: list[Match], rough: Sequence[float], seen: dict[UUID, Verified]
    ) -> list[Match]:
        """By score and evidence; the file itself comes first."""
        excess = [
            self.calibration.excess(seen[m.id].verification) if m.id in seen else 0.0 for m in best
        ]
        combined = self.calibration.combine(rough[: len(best)], excess)
        identical = [
            m.id in seen and seen[m.id].evidence.verdict is Verdict.IDENTICAL for m in best
        ]
        return [best[i] for i in np.lexsort((-combined, np.logical_not(identical)))]
