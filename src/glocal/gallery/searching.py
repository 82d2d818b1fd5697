"""A search: from a query to the images of the gallery, stage by stage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count, islice
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import COARSE, QUERY_SCALES, Encoder
from glocal.errors import ModelMismatchError, QueryError
from glocal.gallery import region_search
from glocal.gallery.arguments import require_limit
from glocal.gallery.catalog import Catalog, Content
from glocal.gallery.clock import Clock
from glocal.gallery.conditions import Columns, Condition, for_some_copy, matches, meets
from glocal.gallery.model_id import ModelId
from glocal.gallery.query import Query
from glocal.gallery.read_regions import ReadRegions
from glocal.gallery.records import Match
from glocal.gallery.region_verification import RegionVerifier
from glocal.gallery.results import Hit, SearchResult, image_fields
from glocal.gallery.small_objects import SMALL_OBJECT_SCALES
from glocal.gallery.stores.base import Store
from glocal.gallery.stores.mixed import MixedRegions
from glocal.gallery.stores.regions import RegionStore
from glocal.gallery.two_verifiers import TwoVerifiers
from glocal.gallery.verifier import VERIFIED, Ranked, Verifier
from glocal.gallery.where import parse
from glocal.images.url_paths import as_path
from glocal.ranking import (
    DEFAULT_RERANKING,
    DEFAULT_RERANKING_TOP,
    NO_RERANKING,
    TOP,
    LocalReranking,
    Reranking,
    find_reranking,
)
from glocal.ranking.evidence import IDENTICAL_FILE, Evidence


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search; see `Gallery.search`."""

    limit: int = 10
    where: str | Condition | None = None
    exact: bool = False
    rerank: str | None = None
    small_objects: bool = False
    regions: bool = True


@dataclass(frozen=True, slots=True)
class _Found:
    """The matches of the first stage, best first.

    Attributes:
        matches: with the cosine similarity of their vectors.
        scores: what orders them, falling.
        files: paths of the files of each that meet the condition.
    """

    matches: list[Match]
    scores: list[float]
    files: dict[UUID, list[bytes]]


@dataclass(frozen=True, slots=True)
class Searcher:
    """Answers queries.

    Args:
        catalog: the gallery's.
        store: the gallery's.
        model: the gallery's.
        space: the vector space of the store's vectors.
        verifier: verifies the best matches; `None` to search by the vector alone.
        regions: the vectors of the images' regions, if the gallery has any.
        margin: of these, see `RegionSettings`.
        encoder: the gallery's model, to verify regions in their files; `None` to leave that out.
        read_regions: those that were read for earlier searches.
    """

    catalog: Catalog
    store: Store
    model: ModelId
    space: str
    verifier: Verifier | TwoVerifiers | None
    regions: RegionStore | MixedRegions | None = None
    margin: float = COARSE.margin
    encoder: Encoder | None = None
    read_regions: ReadRegions = field(default_factory=ReadRegions)

    def search(self, query: Query, options: SearchOptions, clock: Clock) -> SearchResult:
        """Answer one query; for errors see `Gallery.search`."""
        require_limit(options.limit)
        if query.space != self.space:
            raise ModelMismatchError(
                f"the query's vector belongs to the space {query.space!r} and the gallery's to "
                f"{self.space!r}; make the query with the gallery's model, {self.model}"
            )
        where = options.where
        condition = parse(where, self.catalog) if isinstance(where, str) else where
        rerank, top = self._reranking(query, options)
        regions = self.regions if query.regions is not None and _uses_regions(options) else None
        depth = max(
            options.limit,
            top if rerank else 0,
            VERIFIED if self.verifier else 0,
            region_search.WHOLE if regions is not None else 0,
        )
        with clock.measure("search"):
            if options.small_objects:
                found = self._small_objects(query, condition, depth)
            else:
                found = self._nearest(query.vector, condition, depth, exact=options.exact)
        matches, reranked = found.matches, dict[UUID, float]()
        if rerank is not None:
            with clock.measure("rerank"):
                matches, reranked = self._reranked(rerank, query, matches, top)
        by_regions = region_search.ByRegions(matches)
        if regions is not None and query.regions is not None:
            with clock.measure("regions"):
                by_regions, found = self._by_regions(
                    regions, query, matches, found, reranked, options, condition
                )
                matches = by_regions.matches
        ranked = Ranked(matches, {}, {}, complete=False)
        if self.verifier is not None:
            with clock.measure("verify"):
                scales: tuple[float, ...] = QUERY_SCALES
                if options.small_objects:
                    scales = (*scales, SMALL_OBJECT_SCALES[-1])
                ranked = self.verifier.verify(
                    query, matches, found.scores, scales=scales, few=options.small_objects
                )
            if by_regions.compared is not None and self.encoder is not None:
                with clock.measure("verify_regions"):
                    in_files = RegionVerifier(self.verifier, self.encoder, self.read_regions)
                    ranked, boxes = in_files.verify(query, ranked, by_regions.best)
                by_regions = replace(by_regions, proven=boxes)
        combined = {i: ranked.combined[i] for i in ranked.verified}
        stages = {"rerank": reranked, "blend": by_regions.scores, "combined": combined}
        every = self._hits(ranked, stages, by_regions, found.files, query, page=options.limit)
        hits = tuple(islice(every, options.limit))
        matching = self._matching(ranked, query)
        verdict = True if matching else (False if ranked.complete else None)
        return SearchResult(query.name, self.model, hits, clock.milliseconds, verdict, matching)

    def _matching(self, ranked: Ranked, query: Query) -> int:
        """How many of the matches show the same thing as the query."""
        evidence = (self._evidence(ranked, match.id, query) for match in ranked.matches[:VERIFIED])
        return sum(each is not None and each.verdict.is_match for each in evidence)

    def _reranking(
        self, query: Query, options: SearchOptions
    ) -> tuple[Reranking | LocalReranking | None, int]:
        """The reranker, and how many of the best it reorders."""
        if options.small_objects:
            if self.verifier is None:
                raise QueryError(
                    "a search for small objects compares local features; leave verification on"
                )
            if query.pixels is None:
                raise QueryError(
                    f"a search for small objects needs an image, and {query.name} has no pixels"
                )
        if options.rerank is None:
            # A vector's neighbours know nothing of an object that is small in its image.
            if self.verifier is None or options.small_objects:
                return None, 0
            return find_reranking(DEFAULT_RERANKING), DEFAULT_RERANKING_TOP
        if options.rerank == NO_RERANKING:
            return None, 0
        rerank = find_reranking(options.rerank)
        if isinstance(rerank, LocalReranking) and self.verifier is None:
            raise QueryError(
                f"{rerank.name} compares local features; leave verification on, and where the "
                "gallery has none add them: glocal index --refresh"
            )
        return rerank, TOP

    def _nearest(
        self,
        vector: NDArray[np.float32],
        where: Condition | None,
        wanted: int,
        *,
        exact: bool,
    ) -> _Found:
        """The best matches by their vectors; more are asked for until enough of them have files.

        A vector that no file has (yet, or any more) belongs to a change that is under way; and of
        an image with copies it may turn out that none lies where the condition wants it.
        """
        ask = wanted
        relaxed = None if where is None else for_some_copy(where)
        while True:
            matches = self.store.search(vector, ask, where=relaxed, exact=exact)
            inside = self._inside(where, self.catalog.file_names_of(match.id for match in matches))
            kept = [match for match in matches if inside.get(match.id)]
            if len(matches) < ask or len(kept) >= wanted or ask > 32 * wanted:
                return _Found(kept, [match.score for match in kept], inside)
            ask *= 2

    def _by_regions(
        self,
        regions: RegionStore | MixedRegions,
        query: Query,
        matches: list[Match],
        found: _Found,
        reranked: dict[UUID, float],
        options: SearchOptions,
        where: Condition | None,
    ) -> tuple[region_search.ByRegions, _Found]:
        """The matches, and those that regions alone find, in the order of both.

        Files are looked up only for those of the latter that come among the first.
        """
        assert query.regions is not None  # noqa: S101 - see `search`
        relaxed = None if where is None else for_some_copy(where)
        ids = region_search.candidates(regions, query.regions, relaxed, exact=options.exact)
        vectors = self.store.vectors([i for i in ids if i not in found.files])
        more = [Match(i, float(vector @ query.vector)) for i, vector in vectors.items()]
        ordered = region_search.ordered(
            regions,
            query.regions,
            matches,
            more,
            reranked,
            self.margin,
            verified=self.verifier is not None,
        )
        first = ordered.matches[: max(options.limit, VERIFIED)]
        unknown = (match.id for match in first if match.id not in found.files)
        fresh = self.catalog.file_names_of(unknown)
        files = found.files | self._inside(where, fresh)
        kept = [match for match in ordered.matches if files.get(match.id)]
        scores = sorted((match.score for match in kept), reverse=True)
        return replace(ordered, matches=kept), _Found(kept, scores, files)

    def _small_objects(self, query: Query, where: Condition | None, wanted: int) -> _Found:
        """As `_nearest`, by the local features of every image."""
        relaxed = None if where is None else for_some_copy(where)

        def allowed(ids: list[UUID]) -> set[UUID]:
            if relaxed is None:
                return set(ids)
            folders = self.catalog.folders_of(ids)
            contents = self.catalog.contents(folders)
            images = Columns.of([c.attributes(folders[i]) for i, c in contents.items()])
            return {i for i, met in zip(contents, meets(relaxed, images), strict=True) if met}

        assert self.verifier is not None  # noqa: S101 - see `_reranking`
        assert query.pixels is not None  # noqa: S101 - likewise
        best = self.verifier.find_small_objects(query.pixels, wanted, allowed)
        inside = self._inside(where, self.catalog.file_names_of(match.id for match in best))
        vectors = self.store.vectors([match.id for match in best])
        best = [match for match in best if inside.get(match.id) and match.id in vectors]
        matches = [Match(match.id, float(vectors[match.id] @ query.vector)) for match in best]
        return _Found(matches, [match.score for match in best], inside)

    def _reranked(
        self, rerank: Reranking | LocalReranking, query: Query, matches: list[Match], top: int
    ) -> tuple[list[Match], dict[UUID, float]]:
        """The best matches in the order of a reranker, the others below; and the new scores."""
        if isinstance(rerank, LocalReranking):
            assert self.verifier is not None  # noqa: S101 - see `_reranking`
            scored = self.verifier.compare(rerank.compare, query, matches[:top])
        else:
            vectors = self.store.vectors([match.id for match in matches[:top]])
            known = [match.id for match in matches[:top] if match.id in vectors]
            rows = np.empty((0, len(query.vector)), np.float32)
            if known:
                rows = np.stack([vectors[i] for i in known])
            scored = dict(zip(known, rerank.rerank(query.vector, rows).tolist(), strict=True))
        best = [match for match in matches if match.id in scored]
        best.sort(key=lambda match: -scored[match.id])
        return [*best, *(match for match in matches if match.id not in scored)], scored

    def _inside(
        self, where: Condition | None, files: dict[UUID, list[tuple[int, bytes]]]
    ) -> dict[UUID, list[bytes]]:
        """Of the files of each content those that meet the condition where they lie.

        An image with copies in two folders passes a condition on either: of its copies only those
        in the right folder are answers.
        """
        if where is None:
            return {i: [path for _, path in copies] for i, copies in files.items()}
        contents = self.catalog.contents(i for i, copies in files.items() if len(copies) > 1)
        inside: dict[UUID, list[bytes]] = {}
        for i, copies in files.items():
            inside[i] = [
                path
                for folder, path in copies
                if i not in contents
                or matches(where, contents[i].attributes(self.catalog.lineage(folder)))
            ]
        return inside

    def _hits(
        self,
        ranked: Ranked,
        stages: dict[str, dict[UUID, float]],
        regions: region_search.ByRegions,
        files: dict[UUID, list[bytes]],
        query: Query,
        *,
        page: int,
    ) -> Iterator[Hit]:
        """The hits; so many are read from the catalogue at once."""
        ranks, contents = count(1), dict[UUID, Content]()
        for place, match in enumerate(ranked.matches):
            if place % page == 0:
                some = ranked.matches[place : place + page]
                contents = self.catalog.contents(each.id for each in some)
            i = match.id
            if i not in contents:  # removed in this very moment
                continue
            # Float16 rounding can lift an image's score against itself above 1.
            scores = {"vector": min(match.score, 1.0)}
            region = regions.best(i)
            if region is not None:
                scores["region"] = region[0]
            scores |= {stage: known[i] for stage, known in stages.items() if i in known}
            yield Hit(
                **image_fields(contents[i], [as_path(os.fsdecode(path)) for path in files[i]]),
                rank=next(ranks),
                score=scores["vector"],
                scores=scores,
                evidence=self._evidence(ranked, i, query),
                space=self.space,
                box=regions.where(match),
            )

    def _evidence(self, ranked: Ranked, i: UUID, query: Query) -> Evidence | None:
        if i in ranked.verified:
            return ranked.verified[i].evidence
        return IDENTICAL_FILE if i == query.identity else None


def _uses_regions(options: SearchOptions) -> bool:
    """Whether regions have a part in the order: where it is not one that was asked for."""
    return options.regions and options.rerank is None and not options.small_objects
