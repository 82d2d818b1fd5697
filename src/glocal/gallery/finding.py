"""A gallery is searched by images, regions, words and vectors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from glocal.encoders import Features
from glocal.errors import QueryError
from glocal.gallery import packed_features
from glocal.gallery.arguments import require_examples, require_limit, require_words
from glocal.gallery.base import GalleryBase
from glocal.gallery.bridge_to import bridge_to
from glocal.gallery.clock import Clock
from glocal.gallery.conditions import Condition
from glocal.gallery.opened import Opened
from glocal.gallery.passage import Crossing
from glocal.gallery.query import Query, Region
from glocal.gallery.results import GalleryImage, SearchResult
from glocal.gallery.searching import SearchOptions
from glocal.gallery.word_search import (
    WordSearcher,
    fusion_depth,
    require_change_alone,
    require_words_alone,
)
from glocal.upgrade import BridgeMeasurement

if TYPE_CHECKING:
    from glocal.images import ImageSource


class Finding(GalleryBase):
    """The part of a `Gallery` that searches."""

    def query(
        self,
        image: ImageSource | GalleryImage,
        *,
        region: Region | None = None,
        like: Sequence[ImageSource | GalleryImage] = (),
        unlike: Sequence[ImageSource | GalleryImage] = (),
        regions: bool = True,
    ) -> Query:
        """Make a query that can be searched with more than once; for the arguments see `search`."""
        self._require_open()
        require_examples(like=like, unlike=unlike)
        maker = self._opened.query_maker(regions=regions)
        return maker.make(image, region=region, like=like, unlike=unlike)

    def search(
        self,
        query: Query | GalleryImage | ImageSource | None = None,
        *,
        text: str | None = None,
        change: str | None = None,
        limit: int = 10,
        region: Region | None = None,
        like: Sequence[ImageSource | GalleryImage] = (),
        unlike: Sequence[ImageSource | GalleryImage] = (),
        where: str | Condition | None = None,
        exact: bool = False,
        rerank: str | None = None,
        verify: bool = True,
        small_objects: bool = False,
        regions: bool = True,
    ) -> SearchResult:
        """Find the images that show the same thing.

        >>> import glocal
        >>> with glocal.open("searched") as gallery:
        ...     report = gallery.add("Pictures")
        ...     hits = gallery.search("query.jpg", limit=2, where="width >= 200").hits
        ...     crop = gallery.search("query.jpg", region=(0, 0, 0.75, 1), limit=1).hits[0]
        >>> [hit.rank for hit in hits], hits[0].path.name, crop.path.name
        ([1, 2], '0.jpg', '0.jpg')

        Args:
            query: an image (a path, bytes, a file object, a PIL image or an array), a hit or an
                image of this gallery, or a `Query` made before. `None`: search by `text` alone.
            text: words in names of files and folders, in captions and, where they were read
                (`read_texts`), in the images; see `glocal.gallery.words`. Where the gallery has a
                text model (`add_text_model`), also what they mean, unless all are in quotes.
                With a query all rankings are fused; see `glocal.gallery.word_search`.
            change: in words, how what is to be found differs from the query image, such as ``in
                blue``; needs a text model. Its hits are not verified.
            limit: how many images at most, from 1 to 10,000; one that several files hold is one.
            region: X, Y, W, H of the part of the upright query image to search for, in pixels, or
                as fractions when all are at most 1.
            like: more positive examples.
            unlike: negative examples (Rocchio's feedback: the mean of the positive examples, less
                half the mean of the negative ones).
            where: only images that meet a condition, such as ``taken >= 2019 and width > 1000``;
                see `glocal.gallery.where`.
            exact: compare with every image instead of walking the graph.
            rerank: the reranker that reorders the best 400, or ``none``. `None`: ``dba`` over the
                best 200 before a verification, unless `small_objects` is set.
            verify: verify the best 50 by the geometry of their local features, add the evidence
                to the hits, and order these by score and evidence.
            regions: compare the query and regions of it with the regions of every image, where the
                gallery has them and the order is the default one: finds what is small in an image,
                and pieces of larger images.
            small_objects: compare the local features of every image, to find objects that are
                small in large images; takes some 50 ms for a thousand images.

        Raises:
            ImageError: the query cannot be used as an image.
            QueryError: the region, the limit or the condition makes no sense; a `Query` is
                combined with a region or examples; `small_objects` is set without `verify`; there
                is neither query nor text; an option needs a query image and there is none; or a
                change is combined with what it excludes, or there is no text model for it.
            PartError: there is no reranker of that name.
            ModelMismatchError: the query was made with a model of another vector space.
        """
        require_limit(limit)
        require_words(text=text, change=change, rerank=rerank)
        if not isinstance(where, Condition):
            require_words(where=where)
        require_examples(like=like, unlike=unlike)
        if isinstance(query, Query) and (region is not None or like or unlike):
            raise QueryError(
                "a finished query takes no region and no examples; "
                "give them to Gallery.query, which makes it"
            )
        if change is not None:
            require_change_alone(query, text, rerank, small_objects=small_objects)
        if query is None:
            require_words_alone(text, region, like, unlike, rerank, small_objects=small_objects)
        depth = limit if text is None or query is None else fusion_depth(text, limit)
        options = SearchOptions(depth, where, exact, rerank, small_objects, regions)

        def searched(opened: Opened) -> SearchResult:
            clock, layout = Clock(), opened.context.layout
            by_words = WordSearcher(
                self._catalog,
                self._words,
                opened.context.store,
                layout.model,
                None if text is None else self._meanings.of(layout),
            )
            if query is None:
                return by_words.search(text or "", limit, where, clock)
            made = query
            if not isinstance(made, Query):
                by_regions = regions and rerank is None and change is None
                made = opened.query_maker(regions=by_regions).make(
                    made, region=region, like=like, unlike=unlike, clock=clock
                )
            if change is not None:
                meaning = self._meanings.required(layout)
                return by_words.changed(meaning, made, change, limit, where, clock)
            result = opened.searcher(made, verify=verify).search(made, options, clock)
            if text is not None:
                result = by_words.fuse(text, made, result, limit, where, clock)
            return result

        return self._searched(searched)

    def search_vector(
        self,
        vector: ArrayLike,
        *,
        space: str | None = None,
        bridge: str | os.PathLike[str] | None = None,
        limit: int = 10,
        where: str | Condition | None = None,
        exact: bool = False,
    ) -> SearchResult:
        """Find the images whose vectors are nearest to one.

        >>> import glocal
        >>> with glocal.open("vectors") as gallery:
        ...     report = gallery.add("Pictures")
        ...     query = gallery.query("query.jpg")
        ...     hits = gallery.search_vector(query.vector, limit=1).hits
        >>> hits[0].path.name, hits[0].space == query.space
        ('0.jpg', True)

        Args:
            vector: ``(d,)`` numbers of any length but 0, such as `Features.vector` of the
                gallery's own model.
            space: the vector space that it belongs to; `None`: the gallery's, or the one that the
                bridge comes from.
            bridge: file of a bridge that brings it into the gallery's space, such as a service's
                vector; see `fit_bridge`.
            limit: as in `search`.
            where: as in `search`.
            exact: as in `search`.

        Raises:
            QueryError: the vector has another shape, is zero, or is not finite.
            ModelMismatchError: it belongs to another space, or the bridge leads to another.
            BridgeError: the bridge cannot be read, or the vector does not fit it.
        """
        self._require_open()
        if bridge is not None:
            crossing = Crossing.open(bridge, self.model)
            crossing.require_from(space)
            vector, space = crossing.query(vector), self.space
        query = Query.of_vector(vector, space=space or self.space, dim=self.model.dim)
        return self.search(query, limit=limit, where=where, exact=exact, verify=False)

    def fit_bridge(
        self,
        vectors: Mapping[str | os.PathLike[str], ArrayLike],
        target: str | os.PathLike[str],
        *,
        space: str,
    ) -> BridgeMeasurement:
        """Fit a bridge by which another model's vectors search this gallery: see `bridge_to`."""
        self._require_open()
        return bridge_to(self, vectors, target, space=space)

    def features(self, path: str | os.PathLike[str]) -> Features | None:
        """The stored features of a file of the gallery, or `None` when it has none."""
        content = self.content_of(path)
        if content is None:
            return None
        vector = self._store().vectors([content]).get(content)
        packed = self._catalog.local_features([content]).get(content)
        if vector is None or packed is None:
            return None
        local = packed_features.unpack(packed)
        features = Features(vector, local.keypoints, local.descriptors, local.scores)
        store = self._regions.store
        found = store.regions([content]) if store is not None else {}
        if content in found:
            kept = found[content]
            features = replace(features, regions=kept.vectors, boxes=kept.boxes)
        return features

    def in_graph(self) -> int:
        """How many images the HNSW graph covers; the others are scanned exactly."""
        return self._store().status().in_graph

    def warm(self) -> None:
        """Open what a search needs, so that the first is as fast as any."""
        self._store()
        self._models.verifier()
