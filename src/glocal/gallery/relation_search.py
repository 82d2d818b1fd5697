"""Searching for two things that stand to each other in a way: where each is, and how they stand.

Each thing is searched for by itself, as any region of a query image is. In what is found, geometry
says exactly where a thing is; where it cannot, the region that is most like the thing stands for
it. The relation of both places is then compared with the one that is wanted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from uuid import UUID

import numpy as np

from glocal.gallery.arguments import require_limit
from glocal.gallery.clock import Clock
from glocal.gallery.conditions import Condition
from glocal.gallery.query import Query, Region
from glocal.gallery.records import Match
from glocal.gallery.region_search import Box, ByRegions
from glocal.gallery.region_verification import framed
from glocal.gallery.results import Hit, SearchResult
from glocal.gallery.searching import Searcher, SearchOptions
from glocal.gallery.verifier import VERIFIED
from glocal.images.region import pixel_box
from glocal.query.relations import Relation
from glocal.ranking.evidence import Evidence

CANDIDATES = 100
"""Images that are looked at for each of the two things."""

LEAST_RELATION = 0.6
"""Similarity of relations from which two things stand as they are meant to; see the benchmark
``benchmarks/relations.py``."""


_INLIERS = 12
"""Local features that agree, from which they say where a thing is though they do not prove it."""

_AGREED = 0.5
"""How certain such a place is."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a thing is in an image.

    Attributes:
        box: in fractions of the image.
        similarity: of the thing to it, a cosine.
        evidence: where local features say that it is there; otherwise `None`.
    """

    box: Box
    similarity: float
    evidence: Evidence | None = None

    @property
    def proven(self) -> bool:
        """Whether geometric verification has proven that the thing is there."""
        return self.evidence is not None and self.evidence.verdict.is_match

    @property
    def certainty(self) -> float:
        """1 where it is proven; less, the less alike they are."""
        if self.proven:
            return 1.0
        return max(max(self.similarity, 0.0) ** 2, _AGREED if self.evidence else 0.0)


@dataclass(frozen=True, slots=True)
class Thing:
    """One of the two things.

    Attributes:
        query: it, as a query.
        searcher: answers that query, and verifies.
    """

    query: Query
    searcher: Searcher

    def hits(
        self, where: str | Condition | None, *, exact: bool, depth: int, clock: Clock
    ) -> dict[UUID, Hit]:
        """The images that show it, or something like it, by their ids."""
        options = SearchOptions(depth, where, exact)
        found = self.searcher.search(self.query, options, clock)
        return {UUID(hex=hit.id): hit for hit in found.hits}

    def places(self, hits: dict[UUID, Hit], ids: Collection[UUID]) -> dict[UUID, Place]:
        """Where it is in images; those are left out in which nothing says so.

        Args:
            hits: what `hits` has found; of other images the local features are compared here.
            ids: the images.
        """
        verified = {i: hit.evidence for i, hit in hits.items() if hit.evidence is not None}
        verified |= self._verified([i for i in ids if i not in hits])
        likely = self._likely(ids)
        found = dict[UUID, Place]()
        for i in ids:
            evidence, place = verified.get(i), likely.get(i)
            box = None if evidence is None else _agreed(evidence)
            if box is not None:
                similarity = place.similarity if place else hits[i].score if i in hits else 0.0
                found[i] = Place(box, similarity, evidence)
            elif place is not None:
                found[i] = place
        return found

    def _likely(self, ids: Collection[UUID]) -> dict[UUID, Place]:
        """The region of each image that is most like it; none where there are no regions."""
        store, query = self.searcher.regions, self.query
        if store is None or query.regions is None:
            return {}
        known = ByRegions([], compared=store.compare(query.regions, list(ids)))
        best = {i: known.best(i) for i in ids}
        return {i: Place(each[1], each[0]) for i, each in best.items() if each is not None}

    def _verified(self, ids: Sequence[UUID]) -> dict[UUID, Evidence]:
        verifier = self.searcher.verifier
        if verifier is None:
            return {}
        vectors = self.searcher.store.vectors(ids)
        matches = [Match(i, float(vector @ self.query.vector)) for i, vector in vectors.items()]
        matches.sort(key=lambda match: -match.score)
        found = dict[UUID, Evidence]()
        for start in range(0, len(matches), VERIFIED):
            some = matches[start : start + VERIFIED]
            ranked = verifier.verify(self.query, some, [match.score for match in some])
            found |= {i: each.evidence for i, each in ranked.verified.items()}
        return found


def search_relation(
    first: Thing,
    second: Thing,
    relation: Relation,
    *,
    name: str,
    limit: int,
    where: str | Condition | None,
    exact: bool,
    clock: Clock,
) -> SearchResult:
    """The images in which two things stand as they are meant to, best first.

    Images in which both are proven and stand so come first. The others follow by how alike their
    relation is, weighed by how certain the places are.

    Args:
        first: the thing that stands to the other.
        second: the other.
        relation: how.
        name: what the query is called.
        limit: how many images at most.
        where: a condition that they meet.
        exact: compare with every image instead of walking the graph.
        clock: measures the stages.

    Raises:
        QueryError: the limit or the condition makes no sense.
    """
    require_limit(limit)
    depth = max(CANDIDATES, limit)
    hits = [each.hits(where, exact=exact, depth=depth, clock=clock) for each in (first, second)]
    with clock.measure("relation"):
        every = hits[1] | hits[0]
        ones, others = (
            thing.places(found, every) for thing, found in zip((first, second), hits, strict=True)
        )
        both = [(hit, ones[i], others[i]) for i, hit in every.items() if i in ones and i in others]
        rated = [_Rated.of(*each, relation) for each in both]
        rated.sort(key=lambda each: (not each.holds, -each.value))
    shown = tuple(each.hit(rank) for rank, each in enumerate(rated[:limit], start=1))
    matches = sum(each.holds for each in rated)
    verified = first.searcher.verifier is not None and second.searcher.verifier is not None
    found = True if matches else False if verified else None
    return SearchResult(
        name, first.searcher.model, shown, clock.milliseconds, found=found, matches=matches
    )


@dataclass(frozen=True, slots=True)
class _Rated:
    """An image, where both things are in it, and how alike their relation is."""

    image: Hit
    first: Place
    second: Place
    similarity: float

    @classmethod
    def of(cls, image: Hit, first: Place, second: Place, relation: Relation) -> _Rated:
        similar = relation.similarity(first.box, second.box, (image.width, image.height))
        return cls(image, first, second, similar)

    @property
    def proven(self) -> bool:
        return self.first.proven and self.second.proven

    @property
    def value(self) -> float:
        return self.similarity * sqrt(self.first.certainty * self.second.certainty)

    @property
    def holds(self) -> bool:
        """Whether both things are proven to be there, and stand as they are meant to."""
        return self.proven and self.similarity >= LEAST_RELATION

    def hit(self, rank: int) -> Hit:
        weaker = None
        if self.first.evidence is not None and self.second.evidence is not None:
            both = (self.first.evidence, self.second.evidence)
            weaker = min(both, key=lambda each: (each.verdict.is_match, each.probability))
        scores = {
            "relation": self.similarity,
            "first": self.first.similarity,
            "second": self.second.similarity,
        }
        return replace(
            self.image,
            rank=rank,
            score=self.similarity,
            scores=scores,
            evidence=weaker,
            box=self.first.box,
            second_box=self.second.box,
        )


def _agreed(evidence: Evidence) -> Box | None:
    """Where local features say that a thing is; `None` where they say too little."""
    if evidence.homography is not None:
        enough = evidence.verdict.is_match or evidence.inliers >= _INLIERS
        return framed(np.array(evidence.homography)) if enough else None
    return (0.0, 0.0, 1.0, 1.0) if evidence.verdict.is_match else None


def fractions(region: Region, size: tuple[int, int]) -> Box:
    """A region of an image in fractions of it, cut off where it reaches beyond.

    Args:
        region: in pixels, or in fractions if all numbers are at most 1.
        size: width and height of the image in pixels.

    Raises:
        QueryError: it covers no pixel of the image.
    """
    box, (width, height) = pixel_box(region, *size), size
    return (
        box.left / width,
        box.top / height,
        (box.right - box.left) / width,
        (box.bottom - box.top) / height,
    )
