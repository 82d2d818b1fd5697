"""Compare the images of a gallery with one another, without comparing all pairs.

Each image's nearest neighbours by vector are its candidates (`glocal.gallery.candidates`); each
pair of candidates is verified once by the local features that the catalogue has (half a
millisecond). Of pairs whose features agree the small grey images that the catalogue keeps are laid
on one another, many pairs at once (`glocal.ranking.alignment`), which rules out most; and what is
left is read from its files and compared in colour, everywhere (`glocal.ranking.pixels`). That alone
makes a copy. Of those that points call the same, what lies between the points has to be alike too.

For ``n`` images that is ``n`` searches and at most ``NEIGHBOURS * n`` verifications; both grow
with ``n``. Where copies alone are wanted it is ``FIRST * n``, and more only for images that show
the same as many others. What a pair gave is remembered (`glocal.gallery.outcomes`), so that a
second run verifies only what is new. Memory: 14 bytes a candidate pair, a name and 1.6 or 3.2 kB
for each image, the ties found, and a bounded number of local features, small images and decoded
files.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import LocalFeatures
from glocal.gallery.candidates import (
    FIRST,
    LEAST_SCORE,
    MANY,
    NEIGHBOURS,
    Candidates,
    Neighbours,
)
from glocal.gallery.catalog import Catalog, Content
from glocal.gallery.duplicates import Level
from glocal.gallery.outcomes import Outcome, Outcomes, Pair
from glocal.gallery.packed_features import unpack_few
from glocal.gallery.pair_points import PairPoints, pair_points
from glocal.gallery.progress import Progress
from glocal.gallery.stores.base import Store
from glocal.gallery.thumbnails import Thumbnails
from glocal.gallery.verifier import overlap_weighed
from glocal.ranking.alignment import Alignment, align_all
from glocal.ranking.calibration import Calibration
from glocal.ranking.either_way import turned
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.geometry import Points
from glocal.ranking.layers import Layers
from glocal.ranking.pixels import Comparison, compare_pixels, confirm, may_be_shown_whole
from glocal.ranking.registration import side_of_overlap
from glocal.ranking.symmetries import Outline, outline, whole_on_whole
from glocal.ranking.verification import Verification

LEAST_WHOLE_SCORE = 0.55
"""Cosine similarity from which images whose features do not agree are tried whole on whole."""

_PAGE = 500
_LAYERED = 512  # images whose layers stay in memory: 0.12 MB each
_ALIGNED = 256  # pairs that are aligned at once: their layers and a few arrays of each


class Sources(Protocol):
    """Gives the pixels of images; see `glocal.gallery.originals.Originals`."""

    def pixels(self, content: UUID) -> NDArray[np.uint8] | None:
        """At about `originals.PIXELS` at most; `None` if no file can be read."""

    def whole(self, content: Content) -> NDArray[np.uint8] | None:
        """At full size, up to `originals.WHOLE`; `None` if no file can be read."""


_FULLY = 1.05  # times the side at which a pair was seen; beyond that it is compared at full size


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


_Pairs: TypeAlias = list[tuple[Layers, Layers, Points]]


class _UnreadError(Exception):
    """An image's file is gone, changed or unreadable just now."""


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
        originals: read to compare in colour.
        outcomes: of earlier comparisons, which are not made again; `None`: all are made.
        apart: pairs that are not compared, the smaller id first.
        neighbours: candidates of each image.
        least_score: cosine similarity that a candidate has at least.

    Attributes:
        ties: for each image those that it is tied to at this level, with the evidence; the
            homography goes from the outer to the inner one.
        comparisons: of the pixels, in both directions, of those pairs that came so far.
        compared: how many pairs were not remembered and had to be compared.
    """

    catalog: Catalog
    store: Store
    calibration: Calibration
    level: Level
    listen: Callable[[Progress], None]
    thumbnails: Thumbnails
    originals: Sources
    outcomes: Outcomes | None = None
    apart: frozenset[Pair] = frozenset()
    neighbours: int = NEIGHBOURS
    least_score: float = LEAST_SCORE
    ties: dict[UUID, dict[UUID, Evidence]] = field(default_factory=dict)
    comparisons: dict[Pair, Comparison] = field(default_factory=dict)
    compared: int = 0
    _alike: Counter[UUID] = field(default_factory=Counter)
    _outlines: dict[UUID, Outline] = field(default_factory=dict)
    _layers: OrderedDict[UUID, Layers] = field(default_factory=OrderedDict)

    def find(self, among: Sequence[Sequence[UUID]] | None = None) -> None:
        """Find all ties between neighbours.

        Args:
            among: groups within which alone neighbours are looked for; `None`: everywhere.
        """
        wanted = self.catalog.content_ids() if among is None else {i for g in among for i in g}
        ids = sorted(wanted)
        if self.outcomes and among is None:
            self.outcomes.keep_only(ids)
        neighbours = Neighbours(self.store, self.listen, self.neighbours, self.least_score)
        found = neighbours.pairs(ids, among)
        first = np.ones(len(found), np.bool_)
        if self.level is Level.COPY:
            first = found.ranks < FIRST
        self._compare_all(ids, found, first, 0, everywhere=among is None)
        # An image that has many copies may have more of them than it has first neighbours; and one
        # of many photos of one thing may have its copy behind all the others.
        crowded = np.array([self._alike[i] >= MANY for i in ids], np.bool_)
        rest = ~first & crowded[found.pairs].any(axis=1)
        self._compare_all(ids, found, rest, int(first.sum()), everywhere=False)
        self.listen(Progress("verify", len(found), len(found)))

    def _compare_all(
        self,
        ids: list[UUID],
        found: Candidates,
        chosen: NDArray[np.bool_],
        done: int,
        *,
        everywhere: bool,
    ) -> None:
        """Compare those pairs that are chosen, some at a time; so many were compared before."""
        start = 0
        while start < len(found):
            self.listen(Progress("verify", done + int(chosen[:start].sum()), len(found)))
            # All pairs of an image at once, so that what is remembered of others can be dropped.
            last = found.pairs[min(start + _PAGE, len(found)) - 1, 0]
            end = int(np.searchsorted(found.pairs[:, 0], last, side="right"))
            page = [(ids[a], ids[b]) for a, b in found.pairs[start:end].tolist()]
            rows = zip(page, found.scores[start:end].tolist(), chosen[start:end], strict=True)
            scored = {pair: score for pair, score, wanted in rows if wanted}
            self._compare(scored, set(page) if everywhere else None)
            start = end

    def pair(self, first: UUID, second: UUID) -> PairComparison:
        """Compare two images."""
        vectors = self.store.vectors([first, second])
        loaded = self._load({first, second})
        if len(loaded) < 2 or len(vectors) < 2:
            return PairComparison(None, None)
        score = float(vectors[first] @ vectors[second])
        outcome, _ = self._evaluate({(first, second): score}, loaded)[first, second]
        evidence, comparison = outcome.evidence, outcome.comparison
        if comparison is None and evidence is not None and evidence.homography is not None:
            one, two = self.originals.pixels(first), self.originals.pixels(second)
            if one is not None and two is not None:
                whole = partial(self._whole, first, second)
                with suppress(_UnreadError):
                    comparison = compare_pixels(one, two, np.asarray(evidence.homography), whole)
        return PairComparison(evidence, comparison)

    def _compare(self, pairs: Mapping[Pair, float], neighbours: set[Pair] | None) -> None:
        """Compare those pairs that are not remembered, and note all ties.

        Args:
            pairs: with the similarity of their vectors.
            neighbours: all pairs of their first images that are neighbours: what is remembered of
                others is dropped. `None`: nothing is.
        """
        firsts = {first for first, _ in neighbours or pairs}
        known = self.outcomes.of(firsts) if self.outcomes else {}
        new = [pair for pair in pairs if pair not in known and pair not in self.apart]
        loaded = self._load({i for pair in new for i in pair})
        found: dict[Pair, Outcome] = {}
        unread: set[Pair] = set()
        there = {pair: pairs[pair] for pair in new if pair[0] in loaded and pair[1] in loaded}
        self.compared += len(there)
        for pair, (outcome, read) in self._evaluate(there, loaded).items():
            tied = outcome.evidence and Level.OBJECT.allows(outcome.evidence.verdict)
            found[pair] = outcome if tied else Outcome()
            if not read:
                unread.add(pair)
        if self.outcomes:
            stale = set() if neighbours is None else known.keys() - neighbours
            self.outcomes.replace({p: found[p] for p in found if p not in unread}, stale)
        for pair in pairs:
            remembered = found.get(pair) or known.get(pair)
            if remembered is not None and pair not in self.apart:
                self._note(*pair, remembered)

    def _note(self, first: UUID, second: UUID, outcome: Outcome) -> None:
        evidence, comparison = outcome.evidence, outcome.comparison
        if evidence is None:
            return
        self._alike.update((first, second))
        if not self.level.allows(evidence.verdict):
            return
        self.ties.setdefault(first, {})[second] = evidence
        self.ties.setdefault(second, {})[first] = turned(evidence)
        if comparison is not None:
            self.comparisons[first, second] = comparison
            self.comparisons[second, first] = comparison.turned()

    def _load(self, ids: set[UUID]) -> dict[UUID, tuple[Content, LocalFeatures]]:
        """Those of the images that have local features."""
        packed = self.catalog.local_features(ids)
        least = self.calibration.min_score
        return {
            i: (content, unpack_few(packed[i]).scored_above(least))
            for i, content in self.catalog.contents(packed).items()
        }

    def _evaluate(
        self,
        pairs: Mapping[Pair, float],
        loaded: Mapping[UUID, tuple[Content, LocalFeatures]],
    ) -> dict[Pair, tuple[Outcome, bool]]:
        """Verify pairs; also whether all files that each took could be read.

        Args:
            pairs: with the similarity of their vectors.
            loaded: their images.
        """
        points = {
            (first, second): pair_points(loaded[first], loaded[second], score, self.calibration)
            for (first, second), score in pairs.items()
        }
        aligned, unread = self._aligned(pairs, points)
        outcomes = {}
        for pair, found in points.items():
            evidence, comparison = found.evidence, None
            if pair in aligned:
                chance = aligned[pair].copy_probability
                evidence = replace(evidence, copy_probability=chance)
                if aligned[pair].may_be_copy:
                    try:
                        comparison = self._compared(*pair, aligned[pair])
                    except _UnreadError:
                        unread.add(pair)
            evidence = confirm(evidence, comparison)
            if evidence.verdict is Verdict.SAME_OBJECT:
                evidence = self._weighed(pair, evidence, found.found)
            outcomes[pair] = Outcome(evidence, comparison), pair not in unread
        return outcomes

    def _weighed(self, pair: Pair, evidence: Evidence, found: Verification) -> Evidence:
        """Evidence put right by what lies between the points, as a search does it."""
        one, other = (self._grey(content) for content in pair)
        return overlap_weighed(evidence, found, one, other, self.calibration)

    def _grey(self, content: UUID) -> NDArray[np.uint8] | None:
        try:
            return self._small(content).image.astype(np.uint8)
        except _UnreadError:
            return None

    def _aligned(
        self, pairs: Mapping[Pair, float], points: Mapping[Pair, PairPoints]
    ) -> tuple[dict[Pair, Alignment], set[Pair]]:
        """How the small images of those pairs lie on one another of which they may tell something.

        Returns:
            The alignments, and pairs of which a small image could not be read.
        """
        unread: set[Pair] = set()
        laid = [(pair, found.homography, found.on_top) for pair, found in points.items()]
        tries = []
        for pair, to, on_top in laid:
            try:
                if to is not None and self._may_be_whole(pair, to, 0.0):
                    tries.append((pair, to, on_top))
            except _UnreadError:
                unread.add(pair)
        aligned = dict(self._laid(tries, unread))
        # Images that show one thing whole: turned, mirrored or in a border.
        ways: dict[Pair, list[Points]] = {}
        for pair, score in pairs.items():
            likely = pair in aligned and aligned[pair].may_be_copy
            if score >= LEAST_WHOLE_SCORE and not likely and pair not in unread:
                try:
                    ways[pair] = whole_on_whole(self._outline(pair[0]), self._outline(pair[1]))
                except _UnreadError:
                    unread.add(pair)
        while ways := {pair: found for pair, found in ways.items() if found}:
            tries = [(pair, found.pop(0), False) for pair, found in ways.items()]
            for pair, found in self._laid(tries, unread):
                if found.may_be_copy:
                    aligned[pair] = found
                    del ways[pair]
        return aligned, unread

    def _laid(
        self, tries: Sequence[tuple[Pair, Points, bool]], unread: set[Pair]
    ) -> Iterator[tuple[Pair, Alignment]]:
        """Align small images by the homographies from the first to the second of each pair.

        Args:
            tries: pairs, and whether the second image lies on top.
            unread: told the pairs of which a small image could not be read.

        The alignments' homographies go from the first to the second, too.
        """
        for start in range(0, len(tries), _ALIGNED):
            layers: _Pairs = []
            some = []
            for pair, homography, on_top in tries[start : start + _ALIGNED]:
                try:
                    small, other = self._small(pair[0]), self._small(pair[1])
                except _UnreadError:
                    unread.add(pair)
                    continue
                some.append((pair, on_top))
                back = (other, small, np.asarray(np.linalg.inv(homography))) if on_top else None
                layers.append(back or (small, other, homography))

            def possible(number: int, to: Points, sure: float, layers: _Pairs = layers) -> bool:
                one, other, _ = layers[number]
                return may_be_shown_whole(to, one.image, other.image, sure)

            for (pair, on_top), found in zip(some, align_all(layers, possible), strict=True):
                yield pair, found.turned() if on_top else found

    def _may_be_whole(self, pair: Pair, homography: Points, sure: float) -> bool:
        one, other = (self._small(i).image for i in pair)
        return may_be_shown_whole(homography, one, other, sure)

    def _small(self, content: UUID) -> Layers:
        if content not in self._layers:
            small = self.thumbnails.of(content)
            if small is None:
                raise _UnreadError
            self._layers[content] = Layers(small)
            if len(self._layers) > _LAYERED:
                self._layers.popitem(last=False)
        self._layers.move_to_end(content)
        return self._layers[content]

    def _outline(self, content: UUID) -> Outline:
        if content not in self._outlines:
            self._outlines[content] = outline(self._small(content).image)
        return self._outlines[content]

    def _compared(self, first: UUID, second: UUID, aligned: Alignment) -> Comparison | None:
        to = aligned.homography
        if to is not None and not self._may_be_whole((first, second), to, 1.0):
            return None
        one, two = self.originals.pixels(first), self.originals.pixels(second)
        if one is None or two is None:
            raise _UnreadError
        if aligned.homography is None:
            return None
        whole = partial(self._whole, first, second)
        return compare_pixels(one, two, aligned.homography, whole)

    def _whole(
        self, first: UUID, second: UUID, homography: Points, seen: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], bool] | None:
        """Two images at full size, if that shows more of what both show than was seen."""
        contents = self.catalog.contents([first, second])
        if len(contents) < 2:
            raise _UnreadError
        sizes = [(contents[i].height, contents[i].width) for i in (first, second)]
        if side_of_overlap(sizes[0], sizes[1], homography) <= _FULLY * seen:
            return None
        one, two = (self.originals.whole(contents[i]) for i in (first, second))
        if one is None or two is None:
            raise _UnreadError
        return one, two, [one.shape[:2], two.shape[:2]] == sizes
