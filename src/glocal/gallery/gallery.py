"""The gallery: open, add, search, remove, refresh, check, close."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from numpy.typing import ArrayLike

from glocal.encoders import NO_REGIONS, Features, OnnxEncoder
from glocal.encoders.model_files import file_sha256
from glocal.errors import GalleryError, GlocalError, ModelMismatchError, QueryError
from glocal.gallery import health, packed_features, reading
from glocal.gallery.browsing import Browser
from glocal.gallery.catalog import Catalog
from glocal.gallery.changing import Changes
from glocal.gallery.clock import Clock
from glocal.gallery.comparing import (
    Comparing,
    PairComparison,
    PixelsOf,
    find_duplicates,
    identical_groups,
)
from glocal.gallery.completing import complete, keep_local_features, keep_regions
from glocal.gallery.conditions import Condition
from glocal.gallery.context import Context
from glocal.gallery.decisions import Decisions
from glocal.gallery.duplicates import Level
from glocal.gallery.indexing import build_graphs
from glocal.gallery.keep import keep_image
from glocal.gallery.layout import (
    FORMAT,
    UPGRADING,
    Layout,
    open_layout,
    require_settled,
    stamp_of,
)
from glocal.gallery.leaving_out import LeftOut, check_globs
from glocal.gallery.model_id import ModelId
from glocal.gallery.models import Models
from glocal.gallery.opened import Opened
from glocal.gallery.outcomes import Outcomes, rules
from glocal.gallery.passage import crossed
from glocal.gallery.plan import Plan
from glocal.gallery.progress import Progress, quiet
from glocal.gallery.query import Query, Region
from glocal.gallery.region_index import RegionIndex
from glocal.gallery.relation_search import Thing, fractions, search_relation
from glocal.gallery.results import (
    DuplicateGroup,
    Duplicates,
    Failure,
    GalleryImage,
    GalleryInfo,
    IndexReport,
    SearchResult,
)
from glocal.gallery.searching import SearchOptions
from glocal.gallery.sketching import Sketching
from glocal.gallery.stores.base import Store
from glocal.gallery.stores.files import disk_bytes
from glocal.gallery.texts import Texts
from glocal.gallery.thumbnails import Thumbnails
from glocal.gallery.upgrading import Upgrade, sweep_left
from glocal.gallery.word_search import WordSearcher, fusion_depth, require_words_alone
from glocal.gallery.words import Words
from glocal.images import Limits, load
from glocal.query.relations import Relation

if TYPE_CHECKING:
    from glocal.images import ImageSource


def default_folder() -> Path:
    """The gallery of this user: ``GLOCAL_GALLERY``, or a folder where the platform keeps data."""
    named = os.environ.get("GLOCAL_GALLERY")
    if named:
        return Path(named).expanduser()
    import platformdirs  # only without the variable

    return platformdirs.user_data_path("glocal", appauthor=False) / "gallery"


class Gallery:
    """A durable collection of images; use it as a context manager, or `close` it.

    Any number of threads and processes may search, add and remove at the same time; what changes
    the gallery takes turns by the batch.

    >>> import glocal
    >>> with glocal.open("my-gallery") as gallery:
    ...     report = gallery.add("Pictures")
    ...     best = gallery.search("query.jpg", limit=3).hits[0]
    >>> report.added, best.path.name
    (8, '0.jpg')

    Args:
        folder: of the gallery; `None` for the user's own (see `default_folder`).
        model: for a new gallery the model it will have: a name, a path or a hub name; for an
            existing one a model of the same space as the one it has, to be used in its place.
            `None`: the default, or whichever it has.
        sha256: what the hash of the model's file must be.
        create: make the gallery when it is not there.
        limits: how large images may be.
        timeout: seconds to wait for another process that writes, makes or migrates the gallery.
        detector: of local features, for geometric verification: a name in
            `glocal.registry`. `None`: whichever the gallery has; for a new one the
            model's own, or XFeat where these were never calibrated.
        regions: which regions of its images get vectors: ``none``, ``coarse`` or ``fine``. `None`:
            whichever the gallery has; for a new one coarse, if the model gives any.
        side_by_side: whether many threads search at a time, as a server's do: each image is then
            encoded by one core, and as many at a time as there are cores.

    Raises:
        GalleryMissingError: there is no gallery, and `create` is false.
        GalleryFormatError: the folder is something else, or of another version.
        GalleryLockedError: another process kept the gallery locked for too long.
        MissingExtraError: the gallery is of format 1, and what reads that is not installed.
        ModelMismatchError: its vectors are of another space than those of the model named, or its
            local features of another detector (when images are added; `add_local_features`
            changes it), or its regions are others (likewise; see `add_regions`).
        ModelError: the model cannot be found or run.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        model: str | None = None,
        sha256: str | None = None,
        create: bool = True,
        limits: Limits | None = None,
        timeout: float = 30.0,
        detector: str | None = None,
        regions: str | None = None,
        side_by_side: bool = False,
    ) -> None:
        where = default_folder() if folder is None else Path(folder).expanduser()
        layout = open_layout(
            _absolute(where), model=model, sha256=sha256, create=create, timeout=timeout
        )
        self._limits = limits or Limits()
        self._catalog = Catalog(layout.catalog, timeout=timeout)
        self._model, self._timeout, self._side_by_side = model, timeout, side_by_side
        self._opened = self._open(layout)
        self._following = threading.Lock()
        self._words = Words(self._catalog)
        self._detector = detector
        self._wanted_regions = regions
        self._closed = False
        if not (self._catalog.read_only or layout.migrated):
            self._opened.sweep()
            sweep_left(self._opened)

    def _open(self, layout: Layout) -> Opened:
        return Opened.of(layout, self._catalog, self._limits, side_by_side=self._side_by_side)

    def _now(self) -> Opened:
        """What is open, opened anew where an upgrade has begun or ended, in whatever process."""
        if stamp_of(self.folder) != self._opened.stamp:
            with self._following:
                if stamp_of(self.folder) != self._opened.stamp:
                    # What threads still search in the old one stays open until they have ended.
                    self._opened = self._open(self._changed_layout())
        return self._opened

    def _changed_layout(self) -> Layout:
        opening = partial(
            open_layout, self.folder, sha256=None, create=False, timeout=self._timeout
        )
        try:
            return opening(model=self._model)
        except ModelMismatchError:  # it was named for the space that the gallery has left
            return opening(model=None)

    @property
    def _layout(self) -> Layout:
        return self._opened.context.layout

    @property
    def _context(self) -> Context:
        return self._opened.context

    @property
    def _regions(self) -> RegionIndex:
        return self._opened.context.regions

    @property
    def _models(self) -> Models:
        return self._opened.models

    @property
    def _changes(self) -> Changes:
        return self._opened.changes

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the files; closing twice is fine."""
        self._closed = True
        self._opened.close()
        self._words.close()
        self._catalog.close()

    @property
    def folder(self) -> Path:
        """Where the gallery lies."""
        return self._layout.folder

    @property
    def model(self) -> ModelId:
        """Which model made its vectors."""
        return self._layout.model

    @property
    def space(self) -> str:
        """The vector space of its vectors; only vectors of one space are compared."""
        return self.model.space

    @property
    def substitute(self) -> Path | None:
        """The file of the model of the same space that was named, if it is another."""
        return self._layout.substitute

    @property
    def encoder(self) -> OnnxEncoder:
        """The model itself; any thread may use it."""
        return self._models.encoder()

    # Adding and removing

    def add(
        self,
        *sources: ImageSource,
        name: str | None = None,
        exclude: Sequence[str] | None = None,
        listen: Callable[[Progress], None] = quiet,
    ) -> IndexReport:
        """Add images: folders with all below them, files, or images that have no file.

        Folders and files stay where they are; what was added is remembered for `refresh`. Other
        images (bytes, file objects, PIL images, arrays) are kept in the gallery's folder.

        >>> import glocal
        >>> with glocal.open("added") as gallery:
        ...     first = gallery.add("Pictures")
        ...     again = gallery.add("Pictures")
        >>> first.added, again.added, again.unchanged
        (8, 0, 8)

        Args:
            sources: paths of folders and files, and images.
            name: for one image without a file: what its file in the gallery is called.
            exclude: patterns of files and folders that are left out, kept with each folder that is
                added and replacing those that it had; `None`: those that it had. One without a
                slash is compared with names, one with a slash with paths below the folder.
            listen: told the progress.

        Raises:
            QueryError: a pattern cannot lie below a folder.
            ImageError: an image without a file is none. Files that are none are reported instead.
            DiskFullError: no space; what was done so far is kept.
            GalleryLockedError: another process kept the gallery locked for too long.
        """
        self._require_open()
        globs = None if exclude is None else check_globs(exclude)
        self._models.settle(self._detector)
        self._regions.settle(self._wanted_regions, self.encoder)
        roots = [
            _absolute(Path(source))
            if isinstance(source, str | os.PathLike)
            else keep_image(self._layout.kept, source, name, self._limits)
            for source in sources
        ]
        with self._catalog.change():
            self._catalog.let_in(roots)
            for root in roots:
                if os.path.lexists(root) and root.parent != self._layout.kept:
                    self._catalog.add_root(root, globs)
        return self._changes.run(lambda planner: planner.plan(roots), listen)

    def refresh(self, listen: Callable[[Progress], None] = quiet) -> IndexReport:
        """Look again at everything that was ever added: see `add`."""
        self._require_open()
        return self._changes.refresh(listen)

    def add_local_features(
        self, detector: str | None = None, listen: Callable[[Progress], None] = quiet
    ) -> int:
        """Find local features for the images that have none; the files are read again for it.

        Args:
            detector: change to this one first, which removes the local features of another.
            listen: told the progress.

        Returns:
            How many images were given local features.

        Raises:
            PartError: there is no detector of that name.
            MissingExtraError: it needs a package that is not installed.
        """
        self._require_open()
        require_settled(self._layout)
        if detector is not None:
            self._models.change_detector(detector)
        return complete(
            self._catalog,
            self._catalog.without_local_features(),
            self._changes.describer(),
            keep_local_features(self._catalog),
            self._changes.require(),
            listen,
        )

    def add_regions(
        self, choice: str | None = None, listen: Callable[[Progress], None] = quiet
    ) -> int:
        """Add the vectors of regions of the images that have none; the files are read again for it.

        Args:
            choice: change to these first, which removes others: ``none``, ``coarse`` or ``fine``.
                `None`: those that the gallery has; coarse where it was never decided.
            listen: told the progress.

        Returns:
            How many images were given regions.

        Raises:
            ModelError: regions are wanted, and the model has none.
            PartError: there are no regions of that name.
        """
        self._require_open()
        require_settled(self._layout)
        if choice is not None:
            self._regions.change(choice, self.encoder)
        self._regions.settle(None, self.encoder)
        done = self._complete_regions(self._regions.missing(), listen)
        build_graphs(self._context, listen)
        return done

    def read_texts(
        self, *, ocr: bool | None = None, listen: Callable[[Progress], None] = quiet
    ) -> int:
        """Read captions that were never read and, where the gallery wants them, words in images.

        Args:
            ocr: from now on read the words in images, also in later runs, or drop them. `None`:
                as was decided before; otherwise they are not read.
            listen: told the progress.

        Returns:
            How many texts were read.

        Raises:
            MissingExtraError: words in images are wanted, and the extra ``ocr`` is not installed.
        """
        self._require_open()
        if ocr is not None:
            reading.choose(self._catalog, wanted=ocr)
        done = reading.read_captions(self._catalog, self._limits, listen)
        return done + reading.read_missing(self._catalog, self._limits, listen)

    def without_captions(self) -> int:
        """How many images there are whose captions were never read; see `read_texts`."""
        return len(Texts(self._catalog).missing("caption"))

    def _complete_regions(self, missing: Sequence[UUID], listen: Callable[[Progress], None]) -> int:
        describer, store = self._changes.describer(), self._regions.store
        if store is None or describer.regions is None:
            return 0
        return complete(
            self._catalog,
            missing,
            replace(describer, detector=None),
            keep_regions(self._catalog, store),
            self._changes.require(),
            listen,
        )

    def update(
        self, paths: Iterable[Path], listen: Callable[[Progress], None] = quiet
    ) -> IndexReport:
        """Look only at paths that are known to have changed.

        Those not there are removed, but for what was itself added (or lies below it): see
        `IndexReport.unreachable`.
        """
        changed = [_absolute(path) for path in paths]
        return self._changes.run(lambda planner: planner.changes(changed), listen)

    def remove(self, *paths: str | os.PathLike[str]) -> int:
        """Remove files, and folders with all below them, from the gallery.

        Nothing on disk is touched but the files of images that were added without one.

        Returns:
            How many files were removed. They stay out, also when a folder above is indexed again,
            until one of `paths` is added again itself.

        Raises:
            QueryError: the gallery has nothing at one of the paths; nothing is removed then.
        """
        targets = [_absolute(Path(path)) for path in paths]
        planner = self._changes.planner(quiet)
        plans = {target: planner.known_below(target) for target in targets}
        roots = set(self._catalog.roots())
        for target, plan in plans.items():
            if not plan.gone and target not in roots:
                raise QueryError(f"the gallery has nothing at {target}")
        whole = Plan(gone=sorted({gone for plan in plans.values() for gone in plan.gone}))
        # First, lest the next run finds them again: a file that is gone is removed anyway.
        kept = self._catalog.find_folder(self._layout.kept)
        for number, name in whole.gone:
            if number == kept:
                (self._layout.kept / os.fsdecode(name)).unlink(missing_ok=True)
        with self._catalog.change():
            for target in targets:
                self._catalog.drop_root(target)
                if target.parent != self._layout.kept:
                    self._catalog.leave_out(target)
        return self._changes.carry_out(whole, quiet).removed

    # Searching

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
        maker = self._opened.query_maker(regions=regions)
        return maker.make(image, region=region, like=like, unlike=unlike)

    def search(
        self,
        query: Query | GalleryImage | ImageSource | None = None,
        *,
        text: str | None = None,
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
                (`read_texts`), in the images; see `glocal.gallery.words`. With a query both
                rankings are fused; see `glocal.gallery.word_search`.
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
                is neither query nor text; or an option needs a query image and there is none.
            PartError: there is no reranker of that name.
            ModelMismatchError: the query was made with a model of another vector space.
        """
        if isinstance(query, Query) and (region is not None or like or unlike):
            raise QueryError(
                "a finished query takes no region and no examples; "
                "give them to Gallery.query, which makes it"
            )
        if query is None:
            require_words_alone(text, region, like, unlike, rerank, small_objects=small_objects)
        depth = limit if text is None or query is None else fusion_depth(text, limit)
        options = SearchOptions(depth, where, exact, rerank, small_objects, regions)
        while True:
            self._require_open()
            opened, clock = self._opened, Clock()
            by_words = WordSearcher(
                self._catalog, self._words, opened.context.store, opened.context.layout.model
            )
            try:
                if query is None:
                    return by_words.search(text or "", limit, where, clock)
                made = query
                if not isinstance(made, Query):
                    made = opened.query_maker(regions=regions and rerank is None).make(
                        made, region=region, like=like, unlike=unlike, clock=clock
                    )
                result = opened.searcher(made, verify=verify).search(made, options, clock)
                if text is not None:
                    result = by_words.fuse(text, made, result, limit, where, clock)
            except GlocalError:
                if self._now() is opened:
                    raise
            else:
                if self._now() is opened:  # otherwise an upgrade has begun or ended meanwhile
                    opened.note_found(result)
                    return result

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
        size = load(image.path if isinstance(image, GalleryImage) else image, min_pixels=1).facts
        boxes = tuple(fractions(each, (size.width, size.height)) for each in (first, second))
        wanted = Relation.of(relation, boxes[0], boxes[1], (size.width, size.height))
        one, other = (maker.make(image, region=box) for box in boxes)
        return self.search_related(one, other, wanted, limit=limit, where=where, exact=exact)

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
        drawing = load(image, limits=self._limits, min_pixels=4 * self.encoder.card.area).array
        named = str(image) if isinstance(image, str | os.PathLike) else "<sketch>"
        query = self._sketching().query(drawing, any_view=any_view, name=named)
        return self.search(query, limit=limit, where=where, exact=exact, verify=False)

    def learn_sketches(self, listen: Callable[[int, int], None] = lambda _done, _all: None) -> int:
        """Learn from line drawings of the gallery's photos how drawings look; 200 at most.

        Nothing is encoded anew; the same index answers.

        Args:
            listen: told how many photos are done, and of how many.

        Returns:
            How many photos were learnt from.

        Raises:
            GalleryError: fewer than 20 photos can be read.
        """
        self._require_open()
        return self._sketching().learn(listen)

    def knows_sketches(self) -> bool:
        """Whether `learn_sketches` was run for the gallery's model."""
        return self._sketching().learnt() is not None

    def _sketching(self) -> Sketching:
        return Sketching(self._context, self.encoder)

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
        while True:
            self._require_open()
            opened = self._opened
            try:
                one, other = (
                    Thing(each, opened.searcher(each, verify=True)) for each in (first, second)
                )
                result = search_relation(
                    one,
                    other,
                    relation,
                    name=first.name,
                    limit=limit,
                    where=where,
                    exact=exact,
                    clock=Clock(),
                )
            except GlocalError:
                if self._now() is opened:
                    raise
            else:
                if self._now() is opened:  # otherwise an upgrade has begun or ended meanwhile
                    opened.note_found(result)
                    return result

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
                vectors; see `glocal.upgrade`.
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
            vector = crossed(vector, bridge, space, self.model)
            space = self.space
        query = Query.of_vector(vector, space=space or self.space, dim=self.model.dim)
        return self.search(query, limit=limit, where=where, exact=exact, verify=False)

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

    def duplicates(
        self,
        level: str = "copy",
        listen: Callable[[Progress], None] = quiet,
        *,
        prefer: Sequence[str | os.PathLike[str]] = (),
        among: Sequence[Sequence[str]] | None = None,
    ) -> Duplicates:
        """Group the files that show the same; nothing on disk or in the gallery is changed.

        Images are compared with their nearest neighbours, pairs verified by their stored local
        features, and what agrees is read from its file and compared in colour: see
        `glocal.gallery.comparing`. Images without local features can be found identical only.
        What is called spare was read once more, and so was the file that stays.

        >>> import glocal
        >>> with glocal.open("compared") as gallery:
        ...     report = gallery.add("Pictures", "query.jpg")
        ...     groups = gallery.duplicates()
        >>> [len(group.images[0].paths) for group in groups]
        [2]

        Args:
            level: ``copy``: identical files and edited, cropped or re-encoded copies; ``object``:
                other images of the same object or place too.
            listen: told the progress.
            prefer: folders whose files are rather kept.
            among: groups that were found before, by their images' ids: only the images of one
                group are compared with one another, as after a decision about them.

        Returns:
            Those with the most bytes to free first.

        Raises:
            QueryError: there is no such level.
        """
        if level not in tuple(Level):
            raise QueryError(f"the level is {level!r}; it is one of: {', '.join(Level)}")
        self._require_one_detector()
        verifier = self._models.verifier()
        calibration = None if verifier is None else verifier.calibration
        apart, chosen = self.decided()
        with self._outcomes() as outcomes:
            return find_duplicates(
                self._catalog,
                self._store(),
                calibration,
                Level(level),
                listen,
                self._limits,
                outcomes,
                prefer=[_absolute(Path(folder)) for folder in prefer],
                apart=apart,
                chosen=chosen,
                among=None if among is None else [[UUID(hex=i) for i in group] for group in among],
            )

    def _require_one_detector(self) -> None:
        self._require_open()
        if self._models.detectors_differ:
            require_settled(self._layout)

    def _outcomes(self) -> Outcomes:
        rule = f"{rules()} {self._models.detector_name} {self.space}"
        return Outcomes(self._layout.outcomes, rule)

    def identical(
        self, contents: Sequence[UUID], *, prefer: Sequence[Path] = ()
    ) -> list[DuplicateGroup]:
        """The files of images that several files hold, looked at again on disk.

        Args:
            contents: the images, by their content's id; see `Browser.copies`.
            prefer: folders whose files are rather kept.
        """
        return identical_groups(self._catalog, self._limits, contents, prefer)

    def compare(self, first: UUID, second: UUID, pixels: PixelsOf) -> PairComparison:
        """Compare two images of the gallery, however alike they are.

        Args:
            first: the one, by its content's id.
            second: the other one.
            pixels: gives an image's pixels; see `glocal.gallery.originals.Originals.pixels`.
        """
        self._require_one_detector()
        verifier = self._models.verifier()
        small = Thumbnails(self._catalog, self._limits)
        if verifier is None:
            return PairComparison(None, None)
        found = Comparing(
            self._catalog, self._store(), verifier.calibration, Level.OBJECT, quiet, small, pixels
        )
        return found.pair(first, second)

    def decisions(self) -> Decisions:
        """What people decided about duplicates, to read and to change."""
        return Decisions(self._layout.decisions)

    def decisions_mark(self) -> int:
        """A number that is another one whenever other decisions stand."""
        if not self._layout.decisions.exists():
            return 0
        with self.decisions() as decisions:
            return decisions.mark()

    def decided(self) -> tuple[frozenset[tuple[UUID, UUID]], frozenset[UUID]]:
        """Pairs of images that are no duplicates, the smaller id first, and images that stay."""
        if not self._layout.decisions.exists():
            return frozenset(), frozenset()
        with self.decisions() as decisions:
            return frozenset(decisions.apart()), decisions.stays()

    @property
    def trash_journal(self) -> Path:
        """The file that notes what was moved to the system's trash."""
        return self._layout.folder / "trash.jsonl"

    def content_of(self, path: str | os.PathLike[str]) -> UUID | None:
        """The content of a file as the gallery knows it, or `None` when it has none."""
        return self._catalog.content_of(_absolute(Path(path)))

    # Knowing

    def info(self) -> GalleryInfo:
        """Count what the gallery holds."""
        self._require_open()
        counts = self._catalog.counts()
        store = self._regions.store
        return GalleryInfo(
            folder=self.folder,
            format=UPGRADING if self._layout.upgrade else FORMAT,
            model=self.model,
            images=counts["images"],
            detector=self._models.detector_name,
            without_local_features=counts["images"] - counts["with_local_features"],
            regions=self._regions.choice or NO_REGIONS,
            without_regions=self.without_regions(),
            region_bytes=0 if store is None else store.bytes_on_disk(),
            files=counts["files"],
            failed=counts["failed"],
            in_graph=self._store().status().in_graph,
            roots=tuple(self._catalog.roots()),
            bytes_on_disk=disk_bytes(self.folder),
            local_feature_bytes=counts["local_feature_bytes"],
            bytes_free=self._layout.free_bytes(),
            upgrade=self.upgrade().progress(),
        )

    def upgrade(self) -> Upgrade:
        """Change to another model while the gallery stays in use; see `Upgrade`."""
        self._require_open()
        return Upgrade(self._catalog, self._now)

    def without_regions(self) -> int:
        """How many images have no regions, unless the gallery is to have none."""
        if self._regions.choice == NO_REGIONS:
            return 0
        store = self._regions.store
        images = self._catalog.counts()["images"]
        return images if store is None else images - store.status().vectors

    def browse(self) -> Browser:
        """A view of the gallery for people who look around; it ends with the gallery."""
        return Browser(self._catalog, lambda: self._now().rows)

    def let_in(self, *paths: str | os.PathLike[str]) -> None:
        """Let the next index run find again what was removed by hand; `add` does so by itself."""
        self._catalog.let_in(_absolute(Path(path)) for path in paths)

    def left_out(self) -> LeftOut:
        """What index runs pass over, beside what `glocal.gallery.leaving_out.USUALLY` says."""
        return self._catalog.left_out()

    def roots(self) -> list[Path]:
        """What was asked to be indexed, and where images without a file are kept."""
        return [*self._catalog.roots(), self._layout.kept]

    def in_graph(self) -> int:
        """How many images the HNSW graph covers; the others are scanned exactly."""
        return self._store().status().in_graph

    def warm(self) -> None:
        """Open what a search needs, so that the first is as fast as any."""
        self._store()
        self._models.verifier()

    def failures(self) -> list[Failure]:
        """The files that could not be read as images, and why."""
        return [Failure(path, reason) for path, reason in self._catalog.failures()]

    def check(self, *, sample: int | None = 1000, read_files: bool = False) -> health.Health:
        """Examine the gallery; nothing is changed but that a damaged graph is given up.

        Args:
            sample: how many images are searched by their own vector; `None`: all.
            read_files: whether every file is read to see that it holds what was indexed, whatever
                its size and times say.
        """
        self._require_open()
        return health.examine(
            self._context,
            sample=sample,
            model_problem=self._model_problem(),
            read_files=read_files,
        )

    def repair(self, listen: Callable[[Progress], None] = quiet) -> IndexReport:
        """Mend what can be: make catalogue and vectors agree, read again what was lost or changed.

        Raises:
            GalleryLockedError: another process kept the gallery locked for too long.
        """
        lost = health.reconcile(self._context)
        report = self._changes.refresh(listen)
        if lost:
            self._complete_regions(lost, listen)
        return report

    def _model_problem(self) -> str | None:
        try:
            if file_sha256(self._layout.model_file) != self.model.sha256:
                return f"the model file {self._layout.model_file.name} is damaged"
            self.encoder  # noqa: B018 - opening it is the test
        except GlocalError as error:
            return str(error)
        return None

    def _store(self) -> Store:
        self._require_open()
        return self._context.store

    def _require_open(self) -> None:
        """Make sure that the gallery is open, and that what is open is of this moment."""
        if self._closed:
            raise GalleryError(f"gallery {self.folder} is closed")
        self._now()


def _absolute(path: Path) -> Path:
    """An absolute path without `..`; links in it are kept, since people know files by them."""
    with contextlib.suppress(RuntimeError):  # "~nobody": no such user, but perhaps such a file
        path = path.expanduser()
    return Path(os.path.abspath(path))
