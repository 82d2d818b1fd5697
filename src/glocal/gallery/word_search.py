"""Searching by words, as they are written and as they are meant, with an image or without."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.errors import QueryError
from glocal.gallery.arguments import require_limit
from glocal.gallery.catalog import Catalog
from glocal.gallery.clock import Clock
from glocal.gallery.conditions import Columns, Condition, for_some_copy, matches, meets
from glocal.gallery.meaning import Meaning
from glocal.gallery.model_id import ModelId
from glocal.gallery.query import Query, Region
from glocal.gallery.results import Hit, SearchResult, image_fields
from glocal.gallery.stores.base import Store
from glocal.gallery.texts import Texts
from glocal.gallery.where import parse
from glocal.gallery.word_evidence import WordEvidence
from glocal.gallery.word_forms import read_words
from glocal.gallery.words import Words
from glocal.images.url_paths import as_path

FUSED = 200
"""How many of the best by each, image, words and meaning, are fused at least."""

FUSION_CONSTANT = 60
"""Of reciprocal rank fusion: the score is the sum of 1 / (60 + rank) over the rankings (Cormack,
Clarke and Büttcher, 2009)."""


def fusion_depth(text: str, limit: int) -> int:
    """How many hits by the image are wanted, to give so many by image and words.

    Raises:
        QueryError: the text has no words, or the limit makes no sense.
    """
    read_words(text)
    require_limit(limit)
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


def require_change_alone(
    query: object, text: str | None, rerank: str | None, *, small_objects: bool
) -> None:
    """Make sure that a search with a change has a query image, and asks for no more.

    Raises:
        QueryError: it has none, or the order of hits is to be decided by something else too.
    """
    if query is None:
        raise QueryError("a change needs an image to be changed; give a query image too")
    needs = {"text": text is not None, "rerank": rerank is not None, "small_objects": small_objects}
    named = [name for name, given in needs.items() if given]
    if named:
        raise QueryError(
            f"a search with a change takes no {' and no '.join(named)}; say in the change all that "
            "is to be different"
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
class _Meant:
    """An image that shows what a query means.

    Attributes:
        id: of the image.
        score: cosine in the space of the text model.
        files: as of `_Named`.
    """

    id: UUID
    score: float
    files: list[Path]


@dataclass(frozen=True, slots=True)
class WordSearcher:
    """Answers queries of words.

    Args:
        catalog: the gallery's.
        words: the index of its words.
        store: its vectors.
        model: its model.
        meaning: its text model, if it has one.
    """

    catalog: Catalog
    words: Words
    store: Store
    model: ModelId
    meaning: Meaning | None = None

    def search(
        self, text: str, limit: int, where: str | Condition | None, clock: Clock
    ) -> SearchResult:
        """The images that have words and, with a text model, those that show what words mean.

        Raises:
            QueryError: the text has no words, or the limit or the condition makes no sense.
            GalleryError: this Python's SQLite cannot search words.
        """
        depth = limit if self.meaning is None else fusion_depth(text, limit)
        with clock.measure("words"):
            named = {each.id: each for each in self._named(text, depth, where)}
        meant = self._meant(text, depth, where, clock)
        fused = _fused({}, named, meant)
        ordered = sorted(fused, key=lambda i: -fused[i]) if meant else list(named)
        contents = self.catalog.contents(ordered)
        files = {i: each.files for found in (meant, named) for i, each in found.items()}
        hits = tuple(
            Hit(
                **image_fields(contents[i], files[i]),
                rank=rank,
                score=named[i].evidence.share if i in named else meant[i].score,
                scores=_scores(i, named, meant, fused),
                evidence=None,
                space=self.meaning.info.space if i in meant and self.meaning else "",
                words=named[i].evidence.shown if i in named else {},
            )
            for rank, i in enumerate([i for i in ordered if i in contents][:limit], start=1)
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
        """Fuse the rankings by words with that by an image (reciprocal rank fusion).

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
        depth = fusion_depth(text, limit)
        with clock.measure("words"):
            named = {each.id: each for each in self._named(text, depth, where)}
        meant = self._meant(text, depth, where, clock)
        hits = {UUID(hex=hit.id): hit for hit in result.hits}
        by_image = {i: hit.rank for i, hit in hits.items()}
        others = {i: each.files for found in (meant, named) for i, each in found.items()}
        hits |= self._beyond(
            {i: files for i, files in others.items() if i not in hits}, query.vector
        )
        fused = _fused(by_image, named, meant)
        first = {i for i, rank in by_image.items() if rank <= result.matches}
        order = sorted(hits, key=lambda i: (i not in first, -fused[i]))
        kept = tuple(
            replace(
                hits[i],
                rank=rank,
                scores=hits[i].scores | _scores(i, named, meant, {}) | {"fused": fused[i]},
                words=named[i].evidence.shown if i in named else {},
            )
            for rank, i in enumerate(order[:limit], start=1)
        )
        return replace(result, hits=kept, timings_ms=clock.milliseconds, text=text)

    def _meant(
        self, text: str, limit: int, where: str | Condition | None, clock: Clock
    ) -> dict[UUID, _Meant]:
        """The images that show what a text means, best first.

        None without a text model, and where all words are in quotes: these are to be found as they
        are written.
        """
        if self.meaning is None or all(word.exact for word in read_words(text)):
            return {}
        with clock.measure("meaning"):
            return self._nearest(self.meaning, self.meaning.text.encode(text), limit, where)

    def _nearest(
        self,
        meaning: Meaning,
        concept: NDArray[np.float32],
        limit: int,
        where: str | Condition | None,
    ) -> dict[UUID, _Meant]:
        """The images nearest to a vector of the text model's space that meet a condition."""
        condition = parse(where, self.catalog) if isinstance(where, str) else where
        ranked = meaning.rank(concept, self.store, limit, condition)
        files = self._files([match.id for match in ranked], condition)
        return {
            match.id: _Meant(match.id, match.score, files[match.id])
            for match in ranked
            if match.id in files
        }

    def changed(
        self,
        meaning: Meaning,
        query: Query,
        change: str,
        limit: int,
        where: str | Condition | None,
        clock: Clock,
    ) -> SearchResult:
        """The images that show what the query would be with a change, the query itself left out.

        Args:
            meaning: the gallery's text model.
            query: the image.
            change: in words.
            limit: how many hits are wanted.
            where: the condition that all of them meet.
            clock: goes on to measure.

        Raises:
            QueryError: the change has no words, or the limit or the condition makes no sense.
        """
        fusion_depth(change, limit)
        with clock.measure("meaning"):
            concept = meaning.of_change(query.vector, change)
            found = self._nearest(meaning, concept, limit + 1, where)
            if query.identity is not None:
                found.pop(query.identity, None)
            first = list(found.values())[:limit]
            hits = self._beyond({each.id: each.files for each in first}, query.vector)
            kept = tuple(
                replace(
                    hit,
                    rank=rank,
                    score=found[i].score,
                    scores=hit.scores | {"change": found[i].score},
                    space=meaning.info.space,
                )
                for rank, (i, hit) in enumerate(hits.items(), start=1)
            )
        return SearchResult(query.name, self.model, kept, clock.milliseconds, change=change)

    def _beyond(
        self, images: Mapping[UUID, list[Path]], vector: NDArray[np.float32]
    ) -> dict[UUID, Hit]:
        """Hits that only words or their meaning have found, without a rank yet.

        Args:
            images: their files.
            vector: of the query.
        """
        vectors = self.store.vectors([*images])
        contents = self.catalog.contents(vectors)
        return {
            i: Hit(
                **image_fields(contents[i], files),
                rank=0,
                score=(score := min(float(vectors[i] @ vector), 1.0)),
                scores={"vector": score},
                evidence=None,
                space=self.model.space,
            )
            for i, files in images.items()
            if i in contents
        }

    def _named(self, text: str, limit: int, where: str | Condition | None) -> list[_Named]:
        """The images that have words of a text and meet a condition, best first."""
        require_limit(limit)
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
                i: [as_path(os.fsdecode(path)) for _, path in copies] for i, copies in files.items()
            }
        folders = self.catalog.folders_of(files)
        contents = self.catalog.contents(folders)
        images = Columns.of([c.attributes(folders[i]) for i, c in contents.items()])
        found: dict[UUID, list[Path]] = {}
        for i, met in zip(contents, meets(for_some_copy(where), images), strict=True):
            kept = [
                as_path(os.fsdecode(path))
                for folder, path in (files[i] if met else ())
                if matches(where, contents[i].attributes(self.catalog.lineage(folder)))
            ]
            if kept:
                found[i] = kept
        return found


def _fused(
    by_image: Mapping[UUID, int], named: Mapping[UUID, _Named], meant: Mapping[UUID, _Meant]
) -> dict[UUID, float]:
    """The reciprocal ranks of each image, added up.

    Where meaning ranks too, words count by the share of them that an image has: "a" in "a red
    bottle" stands in many names, and says little.
    """
    fused: dict[UUID, float] = {i: 1 / (FUSION_CONSTANT + rank) for i, rank in by_image.items()}
    for rank, (i, each) in enumerate(named.items(), start=1):
        weight = each.evidence.share if meant else 1.0
        fused[i] = fused.get(i, 0.0) + weight / (FUSION_CONSTANT + rank)
    for rank, i in enumerate(meant, start=1):
        fused[i] = fused.get(i, 0.0) + 1 / (FUSION_CONSTANT + rank)
    return fused


def _scores(
    i: UUID,
    named: Mapping[UUID, _Named],
    meant: Mapping[UUID, _Meant],
    fused: Mapping[UUID, float],
) -> dict[str, float]:
    """What words found an image by, and how well."""
    scores = {"words": named[i].score} if i in named else {}
    if i in meant:
        scores["meaning"] = meant[i].score
    if meant and i in fused:
        scores["fused"] = fused[i]
    return scores
