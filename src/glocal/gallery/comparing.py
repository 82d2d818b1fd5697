"""Compare the images of a gallery with one another, without comparing all pairs.

Each image's nearest neighbours by vector are its candidates; each pair of candidates is verified
once by the local features that the catalogue has (a third of a millisecond). Of pairs whose
features agree the small grey images that the catalogue keeps are laid on one another
(`glocal.ranking.alignment`), which rules out most; and what is left is read from its files and
compared in colour, everywhere (`glocal.ranking.pixels`). That alone makes a copy.

For ``n`` images that is ``n`` searches and at most ``NEIGHBOURS * n`` verifications; both grow
with ``n`` (below some 20,000 images, where a search compares with every vector, the searches with
its square, which is still seconds). Memory: 12 bytes a candidate pair, a name and 1.6 or 3.2 kB
for each image, the ties found, and a bounded number of local features, small images and decoded
files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import LocalFeatures
from glocal.gallery.catalog import Catalog, Content
from glocal.gallery.duplicates import Level, clusters, components
from glocal.gallery.grouping import Grouper
from glocal.gallery.originals import Originals
from glocal.gallery.packed_features import unpack
from glocal.gallery.progress import Progress
from glocal.gallery.results import DuplicateGroup, Duplicates
from glocal.gallery.same_files import Disk
from glocal.gallery.stores.base import Store
from glocal.gallery.thumbnails import Thumbnails
from glocal.images import Limits
from glocal.ranking.alignment import LEAST_EXCESS, Alignment, align
from glocal.ranking.calibration import Calibration
from glocal.ranking.either_way import either_way, turned
from glocal.ranking.evidence import Evidence
from glocal.ranking.geometry import Points
from glocal.ranking.pixels import Comparison, compare_pixels, confirm
from glocal.ranking.symmetries import Outline, outline, whole_on_whole
from glocal.ranking.verification import verify

NEIGHBOURS = 20
"""Candidates of each image; a copy is nearly always among the first few."""

LEAST_SCORE = 0.3
"""Cosine similarity below which no pair of vectors is looked at."""

LEAST_WHOLE_SCORE = 0.55
"""Cosine similarity from which images whose features do not agree are tried whole on whole."""

_PAGE = 500

PixelsOf: TypeAlias = Callable[[UUID], NDArray[np.uint8] | None]
"""Gives the pixels of an image; see `glocal.gallery.originals.Originals.pixels`."""


@dataclass(frozen=True, slots=True, eq=False)
class PairComparison:
    """What is found when two images are compared, however alike they are.

    Attributes:
        evidence: of the local features, put right by the pixels; the homography goes from the
            first to the second. `None` where one of them has no local features.
        comparison: of the pixels; `None` where the images do not lie on one another.
    """

    evidence: Evidence | None
    comparison: Comparison | None


@dataclass(slots=True)
class Comparing:
    """Ties between the images of a gallery, found in one go.

    Args:
        catalog: the gallery's, which has sizes and local features.
        store: the gallery's, which finds neighbours.
        calibration: of the detector that found the features.
        level: which ties count.
        listen: told the progress: stages ``neighbours`` and ``verify``.
        thumbnails: small images to lay over one another.
        pixels: of the files, to compare in colour.
        apart: pairs that are not compared, the smaller id first.
        neighbours: candidates of each image.
        least_score: cosine similarity that a candidate has at least.

    Attributes:
        ties: for each image those that it is tied to at this level, with the evidence; the
            homography goes from the outer to the inner one.
        comparisons: of the pixels, in both directions, of those pairs that came so far.
    """

    catalog: Catalog
    store: Store
    calibration: Calibration
    level: Level
    listen: Callable[[Progress], None]
    thumbnails: Thumbnails
    pixels: PixelsOf
    apart: frozenset[tuple[UUID, UUID]] = frozenset()
    neighbours: int = NEIGHBOURS
    least_score: float = LEAST_SCORE
    ties: dict[UUID, dict[UUID, Evidence]] = field(default_factory=dict)
    comparisons: dict[tuple[UUID, UUID], Comparison] = field(default_factory=dict)
    _outlines: dict[UUID, Outline | None] = field(default_factory=dict)

    def find(self, among: Sequence[Sequence[UUID]] | None = None) -> None:
        """Find all ties between neighbours.

        Args:
            among: groups within which alone neighbours are looked for; `None`: everywhere.
        """
        wanted = self.catalog.content_ids() if among is None else {i for g in among for i in g}
        ids = sorted(wanted)
        pairs, scores = self._candidates(ids, among)
        for start in range(0, len(pairs), _PAGE):
            self.listen(Progress("verify", start, len(pairs)))
            page = pairs[start : start + _PAGE]
            loaded = self._load({ids[number] for number in page.ravel().tolist()})
            for (a, b), score in zip(page.tolist(), scores[start : start + _PAGE], strict=True):
                if (ids[a], ids[b]) not in self.apart:
                    self._evaluate(ids[a], ids[b], float(score), loaded)
        self.listen(Progress("verify", len(pairs), len(pairs)))

    def pair(self, first: UUID, second: UUID) -> PairComparison:
        """Compare two images."""
        vectors = self.store.vectors([first, second])
        loaded = self._load({first, second})
        if len(loaded) < 2 or len(vectors) < 2:
            return PairComparison(None, None)
        score = float(vectors[first] @ vectors[second])
        evidence, comparison = self._evidence(first, second, score, loaded)
        if comparison is None and evidence.homography is not None:
            one, two = self.pixels(first), self.pixels(second)
            if one is not None and two is not None:
                comparison = compare_pixels(one, two, np.asarray(evidence.homography))
        return PairComparison(evidence, comparison)

    def _candidates(
        self, ids: list[UUID], among: Sequence[Sequence[UUID]] | None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Neighbours by number, ``(m, 2)``, each pair once, sorted; and their similarities."""
        numbers = {i: number for number, i in enumerate(ids)}
        pairs = self._neighbours(ids, numbers) if among is None else self._within(among, numbers)
        found = np.fromiter(pairs, [("a", np.int32), ("b", np.int32), ("s", np.float32)])
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

    def _within(
        self, among: Sequence[Sequence[UUID]], numbers: dict[UUID, int]
    ) -> Iterator[tuple[int, int, float]]:
        """Neighbours within groups: at least those that a search of the whole gallery finds."""
        for done, group in enumerate(among):
            self.listen(Progress("neighbours", done, len(among)))
            known = self.store.vectors(group)
            if len(known) < 2:
                continue
            ids, vectors = list(known), np.stack(list(known.values())).astype(np.float32)
            for row, scores in enumerate(vectors @ vectors.T):
                for column in np.argsort(-scores)[: self.neighbours + 1].tolist():
                    if column != row and scores[column] >= self.least_score:
                        low, high = sorted((numbers[ids[row]], numbers[ids[column]]))
                        yield low, high, float(scores[column])

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
        loaded: dict[UUID, tuple[Content, LocalFeatures]],
    ) -> None:
        """Verify a pair and note the tie between them, if there is one."""
        if first not in loaded or second not in loaded:
            return
        evidence, comparison = self._evidence(first, second, score, loaded)
        if self.level.allows(evidence.verdict):
            self.ties.setdefault(first, {})[second] = evidence
            self.ties.setdefault(second, {})[first] = turned(evidence)
            if comparison is not None:
                self.comparisons[first, second] = comparison
                self.comparisons[second, first] = comparison.turned()

    def _evidence(
        self,
        first: UUID,
        second: UUID,
        score: float,
        loaded: dict[UUID, tuple[Content, LocalFeatures]],
    ) -> tuple[Evidence, Comparison | None]:
        """What the local features of a pair say, put right by its pixels; and how these differ."""
        (content, local), (other, other_local) = loaded[first], loaded[second]
        found = verify(
            local,
            other_local,
            (content.width, content.height),
            (other.width, other.height),
            self.calibration.settings,
        )
        better = either_way(found, local.keypoints, (other.width, other.height))
        evidence = self.calibration.evaluate(better, score)
        comparison = None
        aligned = None
        if found.homography is not None and self.calibration.excess(found) >= LEAST_EXCESS:
            # The one that shows less, so that the other agrees with all of it, lies on top.
            less = first if better is found else second
            aligned = self._laid_over(first, second, found.homography, less)
        if (aligned is None or not aligned.may_be_copy) and score >= LEAST_WHOLE_SCORE:
            aligned = self._whole_on_whole(first, second) or aligned
        if aligned is not None:
            if aligned.may_be_copy:
                comparison = self._compared(first, second, aligned)
            evidence = replace(evidence, copy_probability=aligned.copy_probability)
        return confirm(evidence, comparison), comparison

    def _laid_over(
        self, first: UUID, second: UUID, homography: Points, less: UUID
    ) -> Alignment | None:
        """How the small images lie on one another; `None` if one of them cannot be had.

        The alignment's homography goes from the first to the second.
        """
        small, other = self.thumbnails.of(first), self.thumbnails.of(second)
        if small is None or other is None:
            return None
        if less == first:
            return align(small, other, homography)
        return align(other, small, np.asarray(np.linalg.inv(homography))).turned()

    def _whole_on_whole(self, first: UUID, second: UUID) -> Alignment | None:
        """The alignment of images that show one thing whole, turned, mirrored or in a border."""
        one, two = self._outline(first), self._outline(second)
        if one is None or two is None:
            return None
        for homography in whole_on_whole(one, two):
            small, other = self.thumbnails.of(first), self.thumbnails.of(second)
            if small is not None and other is not None:
                aligned = align(small, other, homography)
                if aligned.may_be_copy:
                    return aligned
        return None

    def _outline(self, content: UUID) -> Outline | None:
        if content not in self._outlines:
            small = self.thumbnails.of(content)
            self._outlines[content] = None if small is None else outline(small)
        return self._outlines[content]

    def _compared(self, first: UUID, second: UUID, aligned: Alignment) -> Comparison | None:
        one, two = self.pixels(first), self.pixels(second)
        if one is None or two is None or aligned.homography is None:
            return None
        return compare_pixels(one, two, aligned.homography)


def identical_groups(
    catalog: Catalog, limits: Limits, contents: Sequence[UUID], prefer: Sequence[Path] = ()
) -> list[DuplicateGroup]:
    """The files of images that several files hold, one group for each image.

    Images of which less than two files are left are passed over.
    """
    disk = Disk(catalog)
    known = catalog.contents(contents)
    originals = Originals(catalog, disk, limits)
    grouper = Grouper({}, {}, known, disk.holders(known), disk, originals, prefer)
    found = (grouper.group([content]) for content in contents if content in grouper.holders)
    return [group for group in found if group is not None]


def find_duplicates(
    catalog: Catalog,
    store: Store,
    calibration: Calibration | None,
    level: Level,
    listen: Callable[[Progress], None],
    limits: Limits,
    *,
    prefer: Sequence[Path] = (),
    apart: frozenset[tuple[UUID, UUID]] = frozenset(),
    chosen: frozenset[UUID] = frozenset(),
    among: Sequence[Sequence[UUID]] | None = None,
) -> Duplicates:
    """See `Gallery.duplicates`; without a calibration only identical files are found.

    Args:
        catalog: the gallery's.
        store: the gallery's.
        calibration: of the gallery's detector.
        level: which ties count.
        listen: told the progress.
        limits: of what is read.
        prefer: folders whose files are rather kept.
        apart: pairs of images that are no duplicates, the smaller id first.
        chosen: images that stay.
        among: groups that were found before; only their images, each with those of its group, are
            compared. `None`: all.
    """
    disk = Disk(catalog)
    originals = Originals(catalog, disk, limits)
    ties: dict[UUID, dict[UUID, Evidence]] = {}
    comparisons: dict[tuple[UUID, UUID], Comparison] = {}
    if calibration is not None:
        small = Thumbnails(catalog, limits)
        pixels = originals.pixels
        comparing = Comparing(catalog, store, calibration, level, listen, small, pixels, apart)
        comparing.find(among)
        ties, comparisons = comparing.ties, comparing.comparisons
    wanted = None if among is None else {i for group in among for i in group}
    copied = [i for i in catalog.copied_ids() if wanted is None or i in wanted]
    contents = catalog.contents([*ties, *copied])
    holders = disk.holders(contents)
    grouper = Grouper(ties, comparisons, contents, holders, disk, originals, prefer, chosen)
    present = {i for i, held in holders.items() if held.files}  # some may be gone meanwhile
    ranks = {i: grouper.rank(i) for i in present if i in ties}
    tied = {i: [other for other in ties[i] if other in ranks] for i in ranks}
    pairs = ((i, other) for i, others in tied.items() for other in others)
    grouped: list[list[UUID]] = []
    for component in components(pairs):
        grouped += clusters(component, tied, ranks.__getitem__)
    taken = {i for group in grouped for i in group}
    grouped += [[i] for i in copied if i in present - taken and len(holders[i].files) > 1]
    groups = [group for members in grouped if (group := grouper.group(members)) is not None]
    groups.sort(key=lambda group: (-group.bytes_to_free, group.kept))
    changed = sorted({path for held in holders.values() for path in held.changed})
    links = sorted({path for held in holders.values() for path in held.links})
    return Duplicates(groups, tuple(changed), tuple(links))
