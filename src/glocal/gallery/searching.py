"""A search: from images to one vector, from vectors to the files that hold them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import QUERY_SCALES, Encoder, LocalFeatures
from glocal.errors import ImageError, QueryError
from glocal.gallery.catalog import Catalog
from glocal.gallery.conditions import Columns, Condition, for_some_copy, matches, meets
from glocal.gallery.describing import content_id
from glocal.gallery.layout import ModelId
from glocal.gallery.records import Match
from glocal.gallery.results import Hit, SearchResult
from glocal.gallery.small_objects import SMALL_OBJECT_SCALES
from glocal.gallery.stores.base import Store
from glocal.gallery.verifier import VERIFIED, Verified, Verifier
from glocal.gallery.where import parse
from glocal.images import Limits, LoadedImage, load, read_bytes
from glocal.ranking.evidence import Verdict
from glocal.ranking.registry import (
    DEFAULT_RERANKING,
    DEFAULT_RERANKING_TOP,
    NO_RERANKING,
    TOP,
    LocalReranking,
    Reranking,
    find_reranking,
)

if TYPE_CHECKING:
    from glocal.images import ImageSource

Region = tuple[float, float, float, float]

MOST_HITS = 10_000
_NEGATIVE_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for; see `Gallery.search`."""

    image: ImageSource
    limit: int
    region: Region | None
    like: tuple[ImageSource, ...]
    unlike: tuple[ImageSource, ...]
    where: str | Condition | None
    exact: bool
    rank: str | None
    small_objects: bool


@dataclass(frozen=True, slots=True)
class Searcher:
    """Answers questions.

    Args:
        catalog: the gallery's.
        store: the gallery's.
        encoder: of the gallery's model, which may use all cores for one image.
        model: which model that is.
        limits: of what is read.
        second_look: verifies the best matches; None where it cannot.
    """

    catalog: Catalog
    store: Store
    encoder: Encoder
    model: ModelId
    limits: Limits
    verifier: Verifier | None

    def search(self, asked: Question) -> SearchResult:
        """Answer one question; for errors see `Gallery.search`."""
        if not 1 <= asked.limit <= MOST_HITS:
            raise QueryError(f"limit is {asked.limit}; it goes from 1 to {MOST_HITS}")
        where = parse(asked.where, self.catalog) if isinstance(asked.where, str) else asked.where
        if asked.small_objects and self.verifier is None:
            raise QueryError(
                "a deep search compares and verifies local features: it needs --verify"
            )
        rerank, top = self._reranking(asked)
        if isinstance(rerank, LocalReranking) and self.verifier is None:
            raise QueryError(
                f"{rerank.name} compares local features: it needs --verify, and a gallery that has "
                "them (glocal index --refresh adds them)"
            )
        clock = _Clock()
        with clock.measure("decode"):
            identity, images = self._decode(asked)
        with clock.measure("encode"):
            vector, parts = self._encode(images, 1 + len(asked.like))
        wanted = max(asked.limit, top if rerank else 0, VERIFIED if self.verifier else 0)
        if self.verifier is not None and asked.small_objects:
            with clock.measure("search"):
                image = images[0].array
                matches, files, rough = self._small_objects(
                    self.verifier, image, vector, where, wanted
                )
        else:
            with clock.measure("search"):
                matches, files = self._matches(vector, where, wanted, exact=asked.exact)
                rough = [match.score for match in matches]
        if rerank is not None:
            with clock.measure("rerank"):
                matches = self._reranked(rerank, images[0].array, vector, matches, top)
        seen: dict[UUID, Verified] = {}
        if self.verifier is not None:
            with clock.measure("verify"):
                scales = (
                    QUERY_SCALES + SMALL_OBJECT_SCALES[-1:] if asked.small_objects else QUERY_SCALES
                )
                matches, seen = self.verifier.look(
                    images[0].array,
                    matches,
                    identity,
                    rough=rough,
                    scales=scales,
                    passed=parts,
                )
        hits = tuple(islice(_hits(matches, files, seen, identity), asked.limit))
        return SearchResult(_name_of(asked.image), self.model, hits, clock.milliseconds)

    def _reranking(self, asked: Question) -> tuple[Reranking | LocalReranking | None, int]:
        """What re-ranks, and how many of the best."""
        if asked.rank is not None:
            return None if asked.rank == NO_RERANKING else find_reranking(asked.rank), TOP
        if (
            self.verifier is None or asked.small_objects
        ):  # what is deep is unknown to a vector's neighbours
            return None, 0
        return find_reranking(DEFAULT_RERANKING), DEFAULT_RERANKING_TOP

    def _decode(self, asked: Question) -> tuple[UUID | None, list[LoadedImage]]:
        """All images of a question, and the content of the query's own file if it has one."""
        least = self.encoder.card.area
        identity, name, source = None, None, asked.image
        with _naming(asked.image):
            if isinstance(source, str | os.PathLike):
                name, source = source, read_bytes(Path(source), self.limits)
            if isinstance(source, bytes | bytearray | memoryview) and asked.region is None:
                identity = content_id(bytes(source))
            images = [
                load(source, min_pixels=least, region=asked.region, limits=self.limits, name=name)
            ]
        for other in (*asked.like, *asked.unlike):
            with _naming(other):
                images.append(load(other, min_pixels=least, limits=self.limits))
        return identity, images

    def _encode(
        self, images: list[LoadedImage], positive: int
    ) -> tuple[NDArray[np.float32], LocalFeatures]:
        """One unit vector: the mean of what is sought, less half the mean of what is not.

        Rocchio's feedback (Rocchio 1971); images beyond the first `sought` are what is not.
        With it come the local features of the first.
        """
        features = self.encoder.encode([image.array for image in images])
        vectors = np.stack([each.vector for each in features])
        towards: NDArray[np.float32] = vectors[:positive].mean(axis=0)
        if len(vectors) > positive:
            towards -= _NEGATIVE_WEIGHT * vectors[positive:].mean(axis=0)
        length = np.linalg.norm(towards)
        if length < 1e-6:  # opposite examples cancel out; then the query alone has to do
            towards, length = vectors[0], np.linalg.norm(vectors[0])
        return np.asarray(towards / length, np.float32), features[0].local

    def _matches(
        self, vector: NDArray[np.float32], where: Condition | None, wanted: int, *, exact: bool
    ) -> tuple[list[Match], dict[UUID, list[Path]]]:
        """The best matches and their files; more are asked for until enough of them have files.

        A vector that no file has yet, or any more, belongs to a change that is under way; and of
        an image with copies it may turn out that none lies where the condition wants it.
        """
        ask = wanted
        relaxed = None if where is None else for_some_copy(where)
        while True:
            matches = self.store.search(vector, ask, where=relaxed, exact=exact)
            files = self.catalog.files_of(match.id for match in matches)
            inside = self._inside(where, files)
            found = sum(map(len, inside.values()))
            if len(matches) < ask or found >= wanted or ask > 32 * wanted:
                return [match for match in matches if inside.get(match.id)], inside
            ask *= 2

    def _small_objects(
        self,
        look: Verifier,
        image: NDArray[np.uint8],
        vector: NDArray[np.float32],
        where: Condition | None,
        wanted: int,
    ) -> tuple[list[Match], dict[UUID, list[Path]], list[float]]:
        """As `_matches`, by the local features of every image, and with their scores.

        The matches themselves have the vectors' scores, as of any search.
        """
        relaxed = None if where is None else for_some_copy(where)

        def allowed(ids: list[UUID]) -> set[UUID]:
            if relaxed is None:
                return set(ids)
            folders = self.catalog.folders_of(ids)
            contents = self.catalog.contents(folders)
            images = Columns.of([c.attributes(folders[i]) for i, c in contents.items()])
            return {i for i, met in zip(contents, meets(relaxed, images), strict=True) if met}

        best = look.find_small_objects(image, wanted, allowed)
        inside = self._inside(where, self.catalog.files_of(match.id for match in best))
        vectors = self.store.vectors([match.id for match in best])
        best = [match for match in best if inside.get(match.id) and match.id in vectors]
        matches = [Match(match.id, float(vectors[match.id] @ vector)) for match in best]
        return matches, inside, [match.score for match in best]

    def _reranked(
        self,
        rerank: Reranking | LocalReranking,
        image: NDArray[np.uint8],
        vector: NDArray[np.float32],
        matches: list[Match],
        top: int,
    ) -> list[Match]:
        """The best matches in the order of a re-ranking; the others stay below."""
        if isinstance(rerank, LocalReranking):
            assert self.verifier is not None  # noqa: S101 - see `search`
            scored = self.verifier.compared(rerank.compare, image, matches[:top])
        else:
            vectors = self.store.vectors([match.id for match in matches[:top]])
            known = [match.id for match in matches[:top] if match.id in vectors]
            rows = np.stack([vectors[i] for i in known]) if known else np.empty((0, len(vector)))
            scored = dict(zip(known, rerank.rerank(vector, rows).tolist(), strict=True))
        best = [match for match in matches if match.id in scored]
        best.sort(key=lambda match: -scored[match.id])
        return [*best, *(match for match in matches if match.id not in scored)]

    def _inside(
        self, where: Condition | None, files: dict[UUID, list[tuple[int, Path]]]
    ) -> dict[UUID, list[Path]]:
        """Of the files of each content those that meet the condition where they lie.

        An image with copies in two folders passes a condition on either: of its copies only
        those in the right folder are answers.
        """
        copied = [i for i, copies in files.items() if len(copies) > 1]
        contents = {} if where is None else self.catalog.contents(copied)
        inside: dict[UUID, list[Path]] = {}
        for i, copies in files.items():
            inside[i] = [
                path
                for folder, path in copies
                if where is None
                or i not in contents
                or matches(where, contents[i].attributes(self.catalog.lineage(folder)))
            ]
        return inside


def _hits(
    matches: list[Match],
    files: dict[UUID, list[Path]],
    seen: dict[UUID, Verified],
    identity: UUID | None,
) -> Iterator[Hit]:
    ranks = count(1)
    for match in matches:
        if match.id in seen:
            evidence: dict[str, Any] = asdict(seen[match.id].evidence)
        else:
            evidence = {"verdict": Verdict.IDENTICAL} if match.id == identity else {}
        for path in files[match.id]:
            # Float16 rounding can lift an image's score against itself above 1.
            yield Hit(next(ranks), path, min(match.score, 1.0), evidence)


class _Clock:
    """Notes the milliseconds spent on named stages."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.milliseconds[stage] = round((time.perf_counter() - started) * 1000, 3)


@contextmanager
def _naming(image: ImageSource) -> Iterator[None]:
    """Put the name of an image before the reason why it cannot be used."""
    try:
        yield
    except (ImageError, QueryError) as error:
        raise type(error)(f"{_name_of(image)}: {error}") from error


def _name_of(image: ImageSource) -> str:
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    return f"<{type(image).__name__}>"
