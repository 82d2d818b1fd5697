"""Compare the images of a gallery with one another, without comparing all pairs.

Each image's nearest neighbours by vector are its candidates; each pair of candidates is verified
once by the local features that the catalogue has (a third of a millisecond); and of pairs whose parts
agree at all the files are read, small, and laid one over the other (`glocal.ranking.alignment`, 5
to 25 milliseconds), which alone tells a copy from the next photo of a burst.

For ``n`` images that is ``n`` searches and at most ``NEIGHBOURS * n`` verifications; both grow
with ``n`` (below some 20,000 images, where a search compares with every vector, the searches with
its square, which is still seconds). Memory: 12 bytes a candidate pair, a name for each image, the
ties found, and a bounded number of parts and small images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import LocalFeatures
from glocal.gallery.catalog import Catalog, Content
from glocal.gallery.duplicates import (
    Level,
    clusters,
    components,
    make_group,
    preference,
)
from glocal.gallery.packed_features import unpack
from glocal.gallery.progress import Progress
from glocal.gallery.results import DuplicateGroup
from glocal.gallery.stores.base import Store
from glocal.gallery.thumbnails import Thumbnails
from glocal.images import Limits
from glocal.ranking.alignment import LEAST_EXCESS, settle
from glocal.ranking.calibration import Calibration
from glocal.ranking.either_way import either_way, turned
from glocal.ranking.evidence import Evidence
from glocal.ranking.geometry import Points
from glocal.ranking.verification import verify

NEIGHBOURS = 20
"""Candidates of each image; a copy is nearly always among the first few."""

LEAST_SCORE = 0.3
"""Cosine similarity below which no pair of vectors is looked at."""

_PAGE = 500


@dataclass(slots=True)
class Comparing:
    """Ties between the images of a gallery, found in one go.

    Args:
        catalog: the gallery's, which has sizes and local features.
        store: the gallery's, which finds neighbours.
        calibration: of the detector that found the parts.
        level: which ties count.
        listen: told the progress: stages ``neighbours`` and ``verify``.
        thumbnails: small images to lay over one another.
        neighbours: candidates of each image.
        least_score: cosine similarity that a candidate has at least.

    Attributes:
        ties: for each image those that it is tied to at this level, with the evidence; the
            homography goes from the outer to the inner one.
    """

    catalog: Catalog
    store: Store
    calibration: Calibration
    level: Level
    listen: Callable[[Progress], None]
    thumbnails: Thumbnails
    neighbours: int = NEIGHBOURS
    least_score: float = LEAST_SCORE
    ties: dict[UUID, dict[UUID, Evidence]] = field(default_factory=dict)

    def find(self) -> None:
        """Find all ties between neighbours."""
        ids = sorted(self.catalog.content_ids())
        pairs, scores = self._candidates(ids)
        for start in range(0, len(pairs), _PAGE):
            self.listen(Progress("verify", start, len(pairs)))
            page = pairs[start : start + _PAGE]
            looked_at = self._load({ids[number] for number in page.ravel().tolist()})
            for (a, b), score in zip(page.tolist(), scores[start : start + _PAGE], strict=True):
                self._evaluate(ids[a], ids[b], float(score), looked_at)
        self.listen(Progress("verify", len(pairs), len(pairs)))

    def _candidates(self, ids: list[UUID]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Neighbours by number, ``(m, 2)``, each pair once, sorted; and their similarities."""
        numbers = {i: number for number, i in enumerate(ids)}
        found = np.fromiter(
            self._neighbours(ids, numbers), [("a", np.int32), ("b", np.int32), ("s", np.float32)]
        )
        keys = found["a"].astype(np.int64) * len(ids) + found["b"]
        _, once = np.unique(keys, return_index=True)
        found = found[once]
        return np.column_stack([found["a"], found["b"]]), found["s"]

    def _neighbours(
        self, ids: list[UUID], numbers: dict[UUID, int]
    ) -> Iterator[tuple[int, int, float]]:
        for start in range(0, len(ids), _PAGE):
            self.listen(Progress("neighbours", start, len(ids)))
            for i, vector in self.store.vectors(ids[start : start + _PAGE]).items():
                for match in self.store.search(vector, self.neighbours + 1):
                    if match.id != i and match.id in numbers and match.score >= self.least_score:
                        low, high = sorted((numbers[i], numbers[match.id]))
                        yield low, high, match.score
        self.listen(Progress("neighbours", len(ids), len(ids)))

    def _load(self, ids: set[UUID]) -> dict[UUID, tuple[Content, LocalFeatures]]:
        """Those of the images that have local features."""
        packed = self.catalog.local_features(ids)
        least = self.calibration.min_score
        return {
            i: (content, unpack(packed[i]).scored_above(least))
            for i, content in self.catalog.contents(packed).items()
        }

    def _evaluate(
        self,
        first: UUID,
        second: UUID,
        score: float,
        looked_at: dict[UUID, tuple[Content, LocalFeatures]],
    ) -> None:
        """Verify a pair and note the tie between them, if there is one."""
        if first not in looked_at or second not in looked_at:
            return
        (content, parts), (other, other_parts) = looked_at[first], looked_at[second]
        found = verify(
            parts,
            other_parts,
            (content.width, content.height),
            (other.width, other.height),
            self.calibration.settings,
        )
        better = either_way(found, parts.keypoints, (other.width, other.height))
        evidence = self.calibration.evaluate(better, score)
        if found.homography is not None and self.calibration.excess(found) >= LEAST_EXCESS:
            # The one that shows less, so that the other agrees with all of it, lies on top.
            less = first if better is found else second
            evidence = self._laid_over(first, second, found.homography, evidence, less)
        if self.level.allows(evidence.verdict):
            self.ties.setdefault(first, {})[second] = evidence
            self.ties.setdefault(second, {})[first] = turned(evidence)

    def _laid_over(
        self, first: UUID, second: UUID, homography: Points, evidence: Evidence, less: UUID
    ) -> Evidence:
        """The evidence, corrected by the pixels if both files can be read."""
        small, other = self.thumbnails.of(first), self.thumbnails.of(second)
        if small is None or other is None:
            return evidence
        return settle(evidence, small, other, homography, first_on_top=less == first)


def find_duplicates(
    catalog: Catalog,
    store: Store,
    calibration: Calibration | None,
    level: Level,
    listen: Callable[[Progress], None],
    limits: Limits,
) -> tuple[DuplicateGroup, ...]:
    """See `Gallery.duplicates`; without a calibration only identical files are found."""
    ties: dict[UUID, dict[UUID, Evidence]] = {}
    grouped: list[list[UUID]] = []
    copied = catalog.copied_ids()
    if calibration is not None:
        comparing = Comparing(
            catalog, store, calibration, level, listen, Thumbnails(catalog, limits)
        )
        comparing.find()
        ties = comparing.ties
    contents = catalog.contents([*ties, *copied])
    files = {i: [path for _, path in found] for i, found in catalog.files_of(contents).items()}
    present = {i: preference(contents[i], files[i]) for i in files}  # some may be gone meanwhile
    tied = {i: [other for other in ties[i] if other in present] for i in ties if i in present}
    pairs = ((i, other) for i, others in tied.items() for other in others)
    for component in components(pairs):
        grouped += clusters(component, tied, present.__getitem__)
    taken = {i for group in grouped for i in group}
    grouped += [[i] for i in copied if i in present and i not in taken and len(files[i]) > 1]
    groups = [make_group(group, ties, contents, files) for group in grouped]
    return tuple(sorted(groups, key=lambda group: (-group.bytes_to_free, group.kept)))
