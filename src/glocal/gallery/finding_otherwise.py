"""A gallery is searched by relations and by drawings, and for places."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.clock import Clock
from glocal.gallery.conditions import ANYWHERE, AllOf, Condition
from glocal.gallery.exporting import table_rows
from glocal.gallery.finding import Finding
from glocal.gallery.layout import require_settled
from glocal.gallery.locating import Located, locate, stated_position
from glocal.gallery.opened import Opened
from glocal.gallery.progress import Progress, quiet
from glocal.gallery.query import Query, Region, at_hand, naming
from glocal.gallery.relation_search import Thing, fractions, search_relation
from glocal.gallery.results import GalleryImage, SearchResult
from glocal.gallery.sketching import Sketching
from glocal.geography.world_model import WorldModel, read_world_model
from glocal.images import load
from glocal.query.relations import Relation

if TYPE_CHECKING:
    from glocal.images import ImageSource


class FindingOtherwise(Finding):
    """The part of a `Gallery` that searches by more than an image."""

    def search_relation(
        self,
        image: ImageSource | GalleryImage,
        first: Region,
        second: Region,
        *,
        relation: str | None = None,
        limit: int = 10,
        where: str | Condition | None = None,
        exact: bool = False,
    ) -> SearchResult:
        """Find the images in which two things stand to each other as in an image.

        >>> import glocal
        >>> with glocal.open("related") as gallery:
        ...     report = gallery.add("Pictures")
        ...     left, right = (0, 0, 0.5, 1), (0.5, 0, 0.5, 1)
        ...     hits = gallery.search_relation("query.jpg", left, right, limit=1).hits
        ...     turned = gallery.search_relation("query.jpg", left, right, relation="right-of")
        >>> hits[0].path.name, hits[0].score > 0.9, turned.hits[0].score < 0.5
        ('0.jpg', True, True)

        Args:
            image: the query image, which has both things.
            first: X, Y, W, H of the one thing, in pixels, or as fractions when all are at most 1.
            second: of the other thing.
            relation: how the first has to stand to the second, one of
                `glocal.query.relations.RELATIONS`; `None`: as in the query image.
            limit: as in `search`.
            where: as in `search`.
            exact: as in `search`.

        Returns:
            Hits whose ``score`` is how similar the relations are, ``box`` and ``second_box`` where
            the things are. `found` and `matches` count the images in which geometry proves both
            things, in such a relation.

        Raises:
            ImageError: the query cannot be used as an image.
            QueryError: a region lies outside the image, both are the same, or there is no such
                relation.
        """
        self._require_open()
        maker = self._opened.query_maker(regions=True)
        image = at_hand(image, self._limits)
        here = self._size(image)
        first, second = fractions(first, here), fractions(second, here)
        wanted = Relation.of(relation, first, second, here)
        one, other = (maker.make(image, region=box) for box in (first, second))
        return self.search_related(one, other, wanted, limit=limit, where=where, exact=exact)

    def _size(self, image: ImageSource | GalleryImage) -> tuple[int, int]:
        """Width and height of an image in pixels, upright."""
        if isinstance(image, GalleryImage):
            return image.width, image.height
        with naming(image):
            facts = load(image, min_pixels=1, limits=self._limits).facts
        return facts.width, facts.height

    def search_related(
        self,
        first: Query,
        second: Query,
        relation: Relation,
        *,
        limit: int = 10,
        where: str | Condition | None = None,
        exact: bool = False,
    ) -> SearchResult:
        """As `search_relation`, with two queries that were made before."""

        def searched(opened: Opened) -> SearchResult:
            return search_relation(
                Thing(first, opened.searcher(first, verify=True)),
                Thing(second, opened.searcher(second, verify=True)),
                relation,
                name=first.name,
                limit=limit,
                where=where,
                exact=exact,
                clock=Clock(),
            )

        return self._searched(searched)

    def locate(
        self,
        photo: Query | GalleryImage | ImageSource,
        *,
        where: str | Condition | None = None,
        exact: bool = False,
        world: WorldModel | str | os.PathLike[str] | None = None,
    ) -> Located:
        """Say where a photo was probably taken, by the photos that say where they were.

        Args:
            photo: as the query of `search`.
            where: only photos that meet a condition are looked at.
            exact: as in `search`.
            world: a trained world model, or its file, to be asked too: it knows places of which the
                gallery has no photo, and is far less sure. None comes with glocal.

        Raises:
            ImageError: the photo cannot be used as an image.
            QueryError: the condition makes no sense.
            ModelMismatchError: a `Query`, or the world model, was made with a model of another
                vector space.
            WorldModelError: the file is no world model.
        """
        if not (world is None or isinstance(world, WorldModel)):
            world = read_world_model(world)
        position, query = None, photo
        if not isinstance(query, Query):
            photo = at_hand(query, self._limits)
            query = self.query(photo)
            position = stated_position(photo, self._limits)
        browser = self.browse()
        return locate(
            query,
            position,
            browser.condition(where) if isinstance(where, str) else where,
            lambda query, known, limit: self.search(query, where=known, limit=limit, exact=exact),
            browser,
            self._store().vectors,
            world,
        )

    def located_vectors(
        self, where: str | Condition | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Vectors of the photos that say where they were taken, to train a world model on.

        Args:
            where: only photos that meet a condition.

        Returns:
            ``(n, d)`` of unit length, and ``(n, 2)`` latitudes and longitudes in degrees.

        Raises:
            QueryError: the condition makes no sense.
            GalleryError: an upgrade is under way, so that there are vectors of two spaces.
        """
        self._require_open()
        require_settled(self._layout)
        browser = self.browse()
        condition = browser.condition(where) if isinstance(where, str) else where
        known = ANYWHERE if condition is None else AllOf((condition, ANYWHERE))
        rows = [
            (row.embedding, row.centre)
            for row in table_rows(browser, self._store().vectors, known)
            if row.centre is not None
        ]
        vectors = np.array([vector for vector, _ in rows], np.float32)
        places = np.array([place for _, place in rows], np.float64)
        return vectors.reshape(len(rows), self.model.dim), places.reshape(-1, 2)

    def search_sketch(
        self,
        image: ImageSource,
        *,
        any_view: bool = False,
        limit: int = 10,
        where: str | Condition | None = None,
        exact: bool = False,
    ) -> SearchResult:
        """Find the photos that a drawing shows; geometry cannot verify them.

        Args:
            image: dark lines on light paper, or the other way round.
            any_view: find what was drawn from any view; otherwise as it was drawn.
            limit: as in `search`.
            where: as in `search`.
            exact: as in `search`.

        Raises:
            ImageError: it cannot be used as an image.
            QueryError: nothing is drawn, or any view is wanted and `learn_sketches` was never run.
        """
        self._require_open()
        with naming(image):
            area = 4 * self.encoder.card.area
            drawing = load(image, limits=self._limits, min_pixels=area).array
        named = str(image) if isinstance(image, str | os.PathLike) else "<sketch>"
        query = self._sketching().query(drawing, any_view=any_view, name=named)
        return self.search(query, limit=limit, where=where, exact=exact, verify=False)

    def learn_sketches(self, listen: Callable[[Progress], None] = quiet) -> int:
        """Learn from line drawings of the gallery's photos how drawings look; 200 at most.

        Nothing is encoded anew; the same index answers.

        Args:
            listen: told the progress.

        Returns:
            How many photos were learnt from.

        Raises:
            GalleryError: fewer than 20 photos can be read, or the gallery can only be read.
        """
        self._require_writable()
        return self._sketching().learn(listen)

    def knows_sketches(self) -> bool:
        """Whether `learn_sketches` was run for the gallery's model."""
        return self._sketching().learnt() is not None

    def _sketching(self) -> Sketching:
        return Sketching(self._context, self.encoder)
