"""Geometric verification while an upgrade is under way: each image in its own detector's features.

The local features of two detectors cannot be compared. So the query is described by both, and each
match is verified by those that it has itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import QUERY_SCALES, Detector
from glocal.errors import QueryError
from glocal.gallery.query import Query
from glocal.gallery.records import Match
from glocal.gallery.rows import RowTable
from glocal.gallery.verifier import VERIFIED, Ranked, Verified, Verifier
from glocal.ranking.calibration import Calibration
from glocal.ranking.evidence import Verdict


@dataclass(frozen=True, slots=True)
class TwoVerifiers:
    """As `Verifier`, for the images of two detectors.

    Args:
        new: verifies what the new model has encoded.
        old: verifies the rest; `None` where its local features were never calibrated, or the old
            model's file is gone.
        encoded: the rows of the new space.
    """

    new: Verifier
    old: Verifier | None
    encoded: RowTable

    @property
    def calibration(self) -> Calibration:
        """That of the new detector, by which regions are verified in their files."""
        return self.new.calibration

    @property
    def detector(self) -> Detector:
        """The new one, likewise."""
        return self.new.detector

    @property
    def file_pixels(self) -> Callable[..., NDArray[np.uint8] | None]:
        """See `Verifier.file_pixels`."""
        return self.new.file_pixels

    def verify(
        self,
        query: Query,
        matches: Sequence[Match],
        scores: Sequence[float],
        *,
        scales: Sequence[float] = QUERY_SCALES,
        few: bool = False,
    ) -> Ranked:
        """See `Verifier.verify`."""
        best, rest = list(matches[:VERIFIED]), list(matches[VERIFIED:])
        _, encoded = self.encoded.find(match.id for match in best)
        new = [at for at, match in enumerate(best) if match.id in encoded]
        old = [at for at, match in enumerate(best) if match.id not in encoded]
        by_new = self.new.verify(
            query, [best[at] for at in new], [scores[at] for at in new], scales=scales, few=few
        )
        if not old:
            return replace(by_new, matches=[*by_new.matches, *rest])
        if self.old is None:
            by_old = Ranked([best[at] for at in old], {}, {}, complete=False)
            plain = {best[at].id: float(scores[at]) for at in old}
        else:
            # What was found of the query in passing is of the new model.
            again = replace(query, features=None, scaled={})
            by_old = self.old.verify(
                again,
                [best[at] for at in old],
                [scores[at] for at in old],
                scales=scales,
                few=few,
            )
            plain = dict(by_old.combined)
        combined = by_new.combined | plain
        verified = by_new.verified | by_old.verified
        ordered = sorted(
            [*by_new.matches, *by_old.matches],
            key=lambda match: (_rank(verified, match.id), -combined[match.id]),
        )
        return Ranked(
            [*ordered, *rest],
            {match.id: combined[match.id] for match in ordered},
            verified,
            (by_new.complete or not new) and by_old.complete,
            by_new.local or self.new.features(query, scales),
            by_new.small if by_new.small is not None else by_old.small,
        )

    def compare(self, *_: object) -> NoReturn:
        """Refuse a reranker of local features: its scores in two detectors mean nothing together.

        Raises:
            QueryError: always.
        """
        raise QueryError(
            "rerankers of local features cannot compare those of two detectors; leave --rerank "
            "out until the upgrade is finished: glocal upgrade"
        )

    def find_small_objects(self, *_: object) -> NoReturn:
        """Refuse to compare the local features of all images, which are of two detectors.

        Raises:
            QueryError: always.
        """
        raise QueryError(
            "a search for small objects compares all local features, and they are of two "
            "detectors now; leave --small-objects out until the upgrade is finished: glocal upgrade"
        )


def _rank(verified: Mapping[UUID, Verified], i: UUID) -> int:
    """First the query's own file, then what shows the same, then all others."""
    if i not in verified:
        return 2
    verdict = verified[i].evidence.verdict
    return 0 if verdict is Verdict.IDENTICAL_FILE else 1 if verdict.is_match else 2
