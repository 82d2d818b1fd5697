"""The second look: a search's best matches, verified by their local parts and ordered anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import Detector, LocalParts, parts_at_sizes
from glocal.gallery.catalog import Catalog
from glocal.gallery.deep import deepest, shrunk_parts
from glocal.gallery.parts import unpack
from glocal.gallery.records import Match
from glocal.ranking.calibration import Calibration
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.verification import Verification, verify

VERIFIED = 50
"""How many of the best matches are verified: about a millisecond each."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a second look at a match found.

    Attributes:
        evidence: in numbers and words.
        verification: with the points themselves.
    """

    evidence: Evidence
    verification: Verification


@dataclass(frozen=True, slots=True)
class SecondLook:
    """Looks again at the best matches of a search.

    Args:
        catalog: the gallery's, which has every picture's local parts and size.
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
        count: int = VERIFIED,
    ) -> tuple[list[Match], dict[UUID, Seen]]:
        """Verify the best matches and put them in order of all that is known.

        Args:
            image: the query or the sought region of it, ``(h, w, 3)`` uint8 RGB.
            matches: best first.
            identity: the content that is the query's own file, if it is one.
            count: how many are verified; the others stay below, as they are.

        Returns:
            all matches in their new order, and what was seen of those that have local parts.
        """
        best, rest = list(matches[:count]), matches[count:]
        stored = self.catalog.parts(match.id for match in best)
        facts = self.catalog.contents(stored)
        query = self._strong(parts_at_sizes(self.detector, image)) if stored else None
        size = (image.shape[1], image.shape[0])
        seen: dict[UUID, Seen] = {}
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
            evidence = self.calibration.judge(found, match.score, identical=match.id == identity)
            seen[match.id] = Seen(evidence, found)
        return [*self._ordered(best, seen), *rest], seen

    def deepest(
        self,
        image: NDArray[np.uint8],
        count: int,
        allowed: Callable[[list[UUID]], set[UUID]],
    ) -> list[UUID]:
        """The pictures in which the query may be something small; see `glocal.gallery.deep`."""
        strength = self.calibration.min_strength
        looks = shrunk_parts(self.detector, image, strength)
        return deepest(self.catalog, looks, count, strength, allowed) if looks else []

    def _strong(self, parts: LocalParts) -> LocalParts:
        return parts.stronger_than(self.calibration.min_strength)

    def _ordered(self, best: list[Match], seen: dict[UUID, Seen]) -> list[Match]:
        """By score and evidence. The file itself comes first.

        A re-ranking may have changed the order; then the best score counts for the first place, the
        next for the second, and so on, whatever numbers the re-ranking has given.
        """
        scores = np.sort([match.score for match in best])[::-1]
        excess = [
            self.calibration.excess(seen[m.id].verification) if m.id in seen else 0.0 for m in best
        ]
        combined = self.calibration.combine(scores, excess)
        identical = [
            m.id in seen and seen[m.id].evidence.verdict is Verdict.IDENTICAL for m in best
        ]
        return [best[i] for i in np.lexsort((-combined, np.logical_not(identical)))]
