"""Searching by words, and by words and an image together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.errors import QueryError
from glocal.gallery.catalog import Catalog
from glocal.gallery.clock import Clock
from glocal.gallery.conditions import Columns, Condition, for_some_copy, matches, meets
from glocal.gallery.model_id import ModelId
from glocal.gallery.query import Query, Region
from glocal.gallery.results import Hit, SearchResult, image_fields
from glocal.gallery.stores.base import Store
from glocal.gallery.texts import Texts
from glocal.gallery.where import parse
from glocal.gallery.word_evidence import WordEvidence
from glocal.gallery.word_forms import read_words
from glocal.gallery.words import Words

MOST_HITS = 10_000
FUSED = 200
"""How many of the best by each, image and words, are fused at least."""

FUSION_CONSTANT = 60
"""Of reciprocal rank fusion: the score is the sum of 1 / (60 + rank) over both rankings (Cormack,
Clarke and Büttcher, 2009)."""


def fusion_depth(text: str, limit: int) -> int:
    """How many hits by the image are wanted, to give so many by image and words.

    Raises:
        QueryError: the text has no words, or the limit makes no sense.
    """
    read_words(text)
    if not 1 <= limit <= MOST_HITS:
        raise QueryError(f"the limit is {limit}; give 1 to {MOST_HITS}")
    return max(limit, FUSED)


def require_words_alone(
    text: str | None,
    region: Region | None,
    like: Sequence[object],
    unlike: Sequence[object],
    rerank: str | None,
    *,
    small_objects: bool,
) -> None:
    """Make sure that a search without a query image is one by words, and asks for no more.

    Raises:
        QueryError: there are no words, or something needs a query image.
    """
    if text is None:
        raise QueryError("there is nothing to search for; give a query image, a text, or both")
    needs = {
        "region": region is not None,
        "like": bool(like),
        "unlike": bool(unlike),
        "rerank": rerank is not None,
        "small_objects": small_objects,
    }
    named = [name for name, given in needs.items() if given]
    if named:
        raise QueryError(
            f"a search by words alone takes no {' and no '.join(named)}; give a query image too"
        )


@dataclass(frozen=True, slots=True)
class _Named:
    """An image that has words of the query.

    Attributes:
        id: of the image.
        score: BM25.
        files: paths of its files that meet the condition.
        evidence: which words stand where.
    """

    id: UUID
    score: float
    files: list[Path]
    evidence: WordEvidence


@dataclass(frozen=True, slots=True)
class WordSearcher:
    """Answers queries of words.

    Args:
        catalog: the gallery's.
        words: the index of its words.
        store: its vectors.
        model: its model.
    """

    catalog: Catalog
    words: Words
    store: Store
    model: ModelId

    def search(
        self, text: str, limit: int, where: str | Condition | None, clock: Clock
    ) -> SearchResult:
        """The images that have words; nothing is said about what they show.

        Raises:
            QueryError: the text has no words, or the limit or the condition makes no sense.
            GalleryError: this Python's SQLite cannot search words.
        """
        with clock.measure("words"):
            named = self._named(text, limit, where)
            contents = self.catalog.contents(each.id for each in named)
            hits = tuple(
                Hit(
                    **image_fields(contents[each.id], each.files),
                    rank=rank,
                    score=each.evidence.share,
                    scores={"words": each.score},
                    evidence=None,
                    space="",
                    words=each.evidence.shown,
                )
                for rank, each in enumerate((n for n in named if n.id in contents), start=1)
            )
        return SearchResult(text, self.model, hits, clock.milliseconds, text=text)

    def fuse(
        self,
        text: str,
        query: Query,
        result: SearchResult,
        limit: int,
        where: str | Condition | None,
        clock: Clock,
    ) -> SearchResult:
        """Fuse the ranking by words with that by an image (reciprocal rank fusion).

        What geometric verification has found to show the same thing stays before all others, and
        `found` and `matches` say the same as without words.

        Args:
            text: the words.
            query: the image.
            result: what was found by it, of `fusion_depth` hits.
            limit: how many hits are wanted.
            where: the condition that all of them meet.
            clock: goes on to measure.
        """
        with clock.measure("words"):
            named = {e.id: e for e in self._named(text, fusion_depth(text, limit), where)}
            hits = {UUID(hex=hit.id): hit for hit in result.hits}
            by_image = {i: hit.rank for i, hit in hits.items()}
            by_words = {i: rank for rank, i in enumerate(named, start=1)}
            others = [each for i, each in named.items() if i not in hits]
            hits |= self._beyond(others, query.vector)
            fused = {
                i: sum(
                    1 / (FUSION_CONSTANT + ranks[i]) for ranks in (by_image, by_words) if i in ranks
                )
                for i in hits
            }
            first = {i for i, rank in by_image.items() if rank <= result.matches}
            order = sorted(hits, key=lambda i: (i not in first, -fused[i]))
            kept = tuple(
                replace(
                    hits[i],
                    rank=rank,
                    scores=hits[i].scores
                    | ({"words": named[i].score} if i in named else {})
                    | {"fused": fused[i]},
                    words=named[i].evidence.shown if i in named else {},
                )
                for rank, i in enumerate(order[:limit], start=1)
            )
        return replace(result, hits=kept, timings_ms=clock.milliseconds, text=text)

    def _beyond(self, named: Sequence[_Named], vector: NDArray[np.float32]) -> dict[UUID, Hit]:
        """Hits that only words have found, without a rank yet."""
        vectors = self.store.vectors([each.id for each in named])
        contents = self.catalog.contents(vectors)
        return {
            each.id: Hit(
                **image_fields(contents[each.id], each.files),
                rank=0,
                score=(score := min(float(vectors[each.id] @ vector), 1.0)),
                scores={"vector": score},
                evidence=None,
                space=self.model.space,
            )
            for each in named
            if each.id in contents
        }

    def _named(self, text: str, limit: int, where: str | Condition | None) -> list[_Named]:
        """The images that have words of a text and meet a condition, best first."""
        if not 1 <= limit <= MOST_HITS:
            raise QueryError(f"the limit is {limit}; give 1 to {MOST_HITS}")
        query = read_words(text)
        condition = parse(where, self.catalog) if isinstance(where, str) else where
        near = self.words.near(query)
        ask = limit
        while True:
            ranked = self.words.find(query, ask)
            files = self._files([i for i, _ in ranked], condition)
            texts = Texts(self.catalog).of(files)
            named = []
            for i, score in ranked:
                if i not in files:
                    continue
                evidence = WordEvidence.of(query, near, files[i], texts.get(i, {}))
                if evidence.share:  # the words may be in the name of a copy that is left out
                    named.append(_Named(i, score, files[i], evidence))
            if len(named) >= limit or len(ranked) < ask:
                named.sort(key=lambda each: -each.evidence.share)
                return named[:limit]
            ask *= 4

    def _files(self, ids: Iterable[UUID], where: Condition | None) -> dict[UUID, list[Path]]:
        """The files of these images that meet a condition; images without one are left out."""
        files = self.catalog.file_names_of(ids)
        if where is None:
            return {
                i: [Path(os.fsdecode(path)) for _, path in copies] for i, copies in files.items()
            }
        folders = self.catalog.folders_of(files)
        contents = self.catalog.contents(folders)
        images = Columns.of([c.attributes(folders[i]) for i, c in contents.items()])
        found: dict[UUID, list[Path]] = {}
        for i, met in zip(contents, meets(for_some_copy(where), images), strict=True):
            kept = [
                Path(os.fsdecode(path))
                for folder, path in (files[i] if met else ())
                if matches(where, contents[i].attributes(self.catalog.lineage(folder)))
            ]
            if kept:
                found[i] = kept
        return found
