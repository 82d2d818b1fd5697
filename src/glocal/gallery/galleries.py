"""Several galleries searched as one, of the same model or of different ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from glocal.encoders import OWN
from glocal.errors import ModelError, ModelMismatchError, QueryError
from glocal.gallery.arguments import require_examples, require_limit, require_words
from glocal.gallery.clock import Clock
from glocal.gallery.gallery import Gallery
from glocal.gallery.matching_scores import then
from glocal.gallery.merging import Answer, merge
from glocal.gallery.passage import Crossing
from glocal.gallery.progress import Progress, quiet
from glocal.gallery.query import Query, Region, at_hand
from glocal.gallery.results import GalleryImage, SearchResult
from glocal.gallery.scales import Scales
from glocal.gallery.under_way import Knots
from glocal.gallery.verifier import VERIFIED
from glocal.gallery.word_search import require_words_alone
from glocal.upgrade import read_bridge_card

if TYPE_CHECKING:
    from glocal.images import ImageSource


class Galleries:
    """Several galleries that are searched as one; each encodes the query with its own model.

    >>> import glocal
    >>> for name, photo in (("mine", "query.jpg"), ("yours", "other.jpg")):
    ...     with glocal.open(name) as gallery:
    ...         report = gallery.add(photo)
    >>> with glocal.Galleries("mine", "yours") as both:
    ...     for hit in both.search("query.jpg"):
    ...         print(hit.rank, hit.path.name, [folder.name for folder in hit.galleries])
    1 query.jpg ['mine']
    2 other.jpg ['yours']

    Similarities of different models are matched on some photos that both encode; this takes some
    seconds before the first search and is kept, see `glocal.gallery.scales`.

    Args:
        galleries: folders, which are opened here and closed with this, or open galleries, which
            stay open.
        bridges: files of bridges. A gallery whose vectors one of them leads to is searched through
            it by queries of another of these galleries' models, as where its own model's file is
            gone. Its images are not verified then.
        timeout: see `Gallery`.
        listen: told the progress of encoding photos that match similarities.

    Raises:
        QueryError: there are no galleries, or one of them is named twice.
        GalleryMissingError: there is no gallery in one of the folders.
        BridgeError: a bridge cannot be read.
        ModelMismatchError: a bridge leads to none of the galleries, or comes from none of them.
    """

    def __init__(
        self,
        *galleries: Gallery | str | os.PathLike[str],
        bridges: Sequence[str | os.PathLike[str]] = (),
        timeout: float = 30.0,
        listen: Callable[[Progress], None] = quiet,
    ) -> None:
        if not galleries:
            raise QueryError("there is no gallery to search in; name at least one")
        with ExitStack() as opening:
            self._galleries = [
                each
                if isinstance(each, Gallery)
                else opening.enter_context(Gallery(each, create=False, timeout=timeout))
                for each in galleries
            ]
            self._listen = listen
            self._scales = dict[tuple[int, str, str], Knots]()
            self._crossings = dict[int, Crossing]()
            self._require_different()
            for bridge in bridges:
                self._add_bridge(bridge)
            self._close = opening.pop_all()

    def __enter__(self) -> Galleries:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the galleries that were opened here."""
        self._close.close()

    def search(
        self,
        query: ImageSource | GalleryImage | None = None,
        *,
        text: str | None = None,
        limit: int = 10,
        region: Region | None = None,
        like: Sequence[ImageSource | GalleryImage] = (),
        unlike: Sequence[ImageSource | GalleryImage] = (),
        where: str | None = None,
        exact: bool = False,
        rerank: str | None = None,
        verify: bool = True,
        small_objects: bool = False,
        regions: bool = True,
    ) -> SearchResult:
        """Find the images that show the same thing; for the arguments see `Gallery.search`.

        Returns:
            A result whose hits are `GalleryHit`, each image once. Its model is that of the first
            gallery that is not searched through a bridge, and scores are similarities of it.

        Raises:
            QueryError: as by `Gallery.search`; there are both a query image and a text; or small
                objects are searched for in galleries of different detectors.
            ImageError: the query cannot be used as an image.
            ModelError: the model's file of a gallery is gone or damaged.
        """
        require_limit(limit)
        require_words(text=text, where=where, rerank=rerank)
        require_examples(like=like, unlike=unlike)
        if text is not None and query is not None:
            raise QueryError(
                "words and a query image are fused by their ranks in one gallery, which say "
                "nothing beside those in another; search several galleries by one of them"
            )
        if query is None:
            require_words_alone(text, region, like, unlike, rerank, small_objects=small_objects)
        if small_objects:
            self._require_one_detector()
        limits = self._galleries[0].limits
        queries = _Queries(
            None if query is None else at_hand(query, limits),
            region,
            [at_hand(each, limits) for each in like],
            [at_hand(each, limits) for each in unlike],
            regions and rerank is None,
        )
        options = {
            "text": text,
            "limit": max(limit, VERIFIED),
            "where": where,
            "exact": exact,
            "rerank": rerank,
            "small_objects": small_objects,
            "regions": regions,
        }
        first = next(at for at in range(len(self._galleries)) if at not in self._crossings)
        order = [first, *(at for at in range(len(self._galleries)) if at != first)]
        answers = []
        for at in order:
            result = self._answer(at, queries, verify=verify, options=options)
            knots = None if query is None else self._knots(at, first, queries.clock)
            answers.append(Answer(self._galleries[at].folder, result, knots))
        merged = merge(answers, limit)
        return replace(merged, timings_ms=queries.clock.milliseconds | merged.timings_ms)

    def _answer(
        self, at: int, queries: _Queries, *, verify: bool, options: dict[str, Any]
    ) -> SearchResult:
        """What one gallery finds, searched again where an upgrade has begun or ended meanwhile."""
        gallery, crossing = self._galleries[at], self._crossings.get(at)
        while True:
            source = gallery if crossing is None else self._speaker(crossing)
            before = gallery.opened(), source.opened()
            try:
                query = queries.of(source) if queries.image is not None else None
                if query is not None and crossing is not None:
                    query = _crossed(query, crossing)
                return gallery.search(query, verify=verify and crossing is None, **options)
            except ModelMismatchError:
                if (gallery.opened(), source.opened()) == before:
                    raise
            except ModelError as error:
                raise ModelError(
                    f"the model of gallery {source.folder} cannot be used ({error}); put its file "
                    "back, or search the gallery through a bridge from the model of another one: "
                    "--bridge FILE"
                ) from error

    def _knots(self, at: int, first: int, clock: Clock) -> Knots | None:
        """Which similarities of a gallery mean as much as those of the first."""
        gallery, crossing = self._galleries[at], self._crossings.get(at)
        source = self._galleries[first] if crossing is None else self._speaker(crossing)
        if crossing is None and gallery.space == source.space:
            return None
        key = at, gallery.model.sha256, source.model.sha256
        if key not in self._scales:
            with clock.measure("match_scores"):
                scales = Scales(source.opened(), gallery.opened(), crossing, self._listen)
                self._scales[key] = scales.knots()
        knots = self._scales[key]
        if source.space == self._galleries[first].space:
            return knots
        beyond = self._knots(self._galleries.index(source), first, clock)
        return knots if beyond is None else then(knots, beyond)

    def _speaker(self, crossing: Crossing) -> Gallery:
        """The gallery whose model makes the queries that a bridge takes."""
        for at, gallery in enumerate(self._galleries):
            if at not in self._crossings and gallery.space == crossing.space:
                return gallery
        spaces = sorted({gallery.space for gallery in self._galleries})
        raise ModelMismatchError(
            f"the bridge {crossing.path} takes queries of {crossing.space!r}, and the galleries "
            f"are of {', '.join(map(repr, spaces))}; add a gallery of that space, or fit a bridge "
            "from the model of one of these"
        )

    def _add_bridge(self, path: str | os.PathLike[str]) -> None:
        target = read_bridge_card(path).old_space
        reached = [at for at, each in enumerate(self._galleries) if each.space == target]
        if not reached:
            raise ModelMismatchError(
                f"the bridge {path} leads to vectors of {target!r}, and no gallery has such; "
                "leave it out, or fit one to the gallery that it is for"
            )
        for at in reached:
            self._crossings[at] = Crossing.open(path, self._galleries[at].model)
        for crossing in self._crossings.values():
            self._speaker(crossing)

    def _require_different(self) -> None:
        seen = set[str]()
        for gallery in self._galleries:
            folder = os.path.realpath(gallery.folder)
            if folder in seen:
                raise QueryError(f"gallery {gallery.folder} is named twice; name it once")
            seen.add(folder)

    def _require_one_detector(self) -> None:
        names = {gallery.info().detector for gallery in self._galleries}
        spaces = {gallery.space for gallery in self._galleries}
        if len(names) > 1 or (names == {OWN} and len(spaces) > 1):
            raise QueryError(
                "a search for small objects compares all local features, and those of these "
                "galleries are of different detectors; search them one after the other"
            )


@dataclass(frozen=True, slots=True)
class _Queries:
    """What is searched for, encoded once by each model.

    Attributes:
        image: the query image; `None` for words alone.
        region: as of `Gallery.search`; likewise the next two.
        like: positive examples.
        unlike: negative examples.
        regions: whether it is compared with regions.
        clock: measures what is spent on queries.
        made: the queries so far.
    """

    image: ImageSource | GalleryImage | None
    region: Region | None
    like: Sequence[ImageSource | GalleryImage]
    unlike: Sequence[ImageSource | GalleryImage]
    regions: bool
    clock: Clock = field(default_factory=Clock)
    made: dict[tuple[object, ...], Query] = field(default_factory=dict)

    def of(self, gallery: Gallery) -> Query:
        """The query as a gallery's model encodes it."""
        assert self.image is not None  # noqa: S101 - called only then
        opened = gallery.opened()
        layout, with_regions = opened.context.layout, opened.context.regions.store is not None
        # Only what an upgrade under way adds to a query is a gallery's own.
        key = (
            layout.model.sha256,
            layout.substitute,
            with_regions,
            layout.folder if layout.upgrade else None,
        )
        if key not in self.made:
            self.made[key] = opened.query_maker(regions=self.regions).make(
                self.image,
                region=self.region,
                like=self.like,
                unlike=self.unlike,
                clock=self.clock,
            )
        return self.made[key]


def _crossed(query: Query, crossing: Crossing) -> Query:
    """The query of another model, as one of the space that a bridge leads to."""
    vector = crossing.query(query.vector)
    return Query(vector, crossing.target, identity=query.identity, name=query.name)
