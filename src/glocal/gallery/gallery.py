"""The gallery: open, add, search, remove, refresh, check, close."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from numpy.typing import ArrayLike

from glocal.encoders import Features, OnnxEncoder
from glocal.encoders.registry import file_sha256
from glocal.errors import GalleryError, GlocalError, QueryError
from glocal.gallery import health, packed_features
from glocal.gallery.adding_local_features import add_local_features
from glocal.gallery.catalog import Catalog
from glocal.gallery.changing import Changes
from glocal.gallery.clock import Clock
from glocal.gallery.comparing import find_duplicates
from glocal.gallery.conditions import Condition
from glocal.gallery.decisions import Decisions
from glocal.gallery.duplicates import Level
from glocal.gallery.indexing import Progress, quiet
from glocal.gallery.keep import keep_image
from glocal.gallery.layout import FORMAT, ModelId, open_layout
from glocal.gallery.models import Models
from glocal.gallery.plan import Plan
from glocal.gallery.query import Query, QueryMaker, Region
from glocal.gallery.results import (
    Duplicates,
    Failure,
    GalleryImage,
    GalleryInfo,
    IndexReport,
    SearchResult,
)
from glocal.gallery.searching import Searcher, SearchOptions
from glocal.gallery.stores.base import Store
from glocal.gallery.stores.edge import EdgeStore
from glocal.gallery.stores.files import disk_bytes
from glocal.gallery.stores.shared import SharedStore
from glocal.images import Limits

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

    Any thread may search while another adds; other processes may do both at the same time, and
    of two that change the gallery the second waits.

    Args:
        folder: of the gallery; `None` for the user's own (see `default_folder`).
        model: for a new gallery the model it will have: a name, a path or a hub name; for an
            existing one the model it must have. `None`: the default, or whichever it has.
        sha256: what the hash of the model's file must be.
        create: make the gallery when it is not there.
        limits: how large images may be.
        timeout: seconds to wait for another process that changes or holds the gallery.
        serve: answer other processes while this one has the vectors open; a process that lives
            for a moment need not.
        detector: of local features, for the second look: one of `glocal.encoders.DETECTORS`. `None`:
            whichever the gallery has; for a new one the model's own, or XFeat where these were
            never calibrated.

    Raises:
        GalleryMissingError: there is no gallery, and `create` is false.
        GalleryFormatError: the folder is something else, or of another version.
        GalleryLockedError: another process holds the gallery and does not answer.
        ModelMismatchError: its vectors are of another model than the one named, or its local features
            of another detector (when images are added; `complete` changes the detector).
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
        serve: bool = True,
        detector: str | None = None,
    ) -> None:
        where = default_folder() if folder is None else Path(folder).expanduser()
        self._layout = open_layout(
            _absolute(where), model=model, sha256=sha256, create=create, timeout=timeout
        )
        self._limits = limits or Limits()
        self._timeout = timeout
        self._serve = serve
        self._opening = threading.RLock()
        self._catalog = Catalog(self._layout.catalog)
        self._opened_store: Store | None = None
        self._models = Models(self._layout, self._catalog)
        self._changes = Changes(
            self._layout, self._catalog, self._store, self._models, self._limits, timeout
        )
        self._detector = detector
        self._closed = False

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files; closing twice is fine."""
        with self._opening:
            self._closed = True
            if self._opened_store is not None:
                self._opened_store.close()
                self._opened_store = None
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
        return self.encoder.card.everything.get("space") or f"sha256:{self.model.sha256[:16]}"

    @property
    def encoder(self) -> OnnxEncoder:
        """The model itself, for one image at a time; any thread may use it."""
        return self._models.encoder(alone=True)

    # Adding and removing

    def add(
        self,
        *sources: ImageSource,
        name: str | None = None,
        listen: Callable[[Progress], None] = quiet,
    ) -> IndexReport:
        """Add images: folders with all below them, files, or images that have no file.

        Folders and files stay where they are; what was added is remembered for `refresh`. Other
        images (bytes, file objects, PIL images, arrays) are kept in the gallery's folder.

        Args:
            sources: paths of folders and files, and images.
            name: for one image without a file: what its file in the gallery is called.
            listen: told the progress.

        Raises:
            ImageError: an image without a file is none. Files that are none are reported instead.
            DiskFullError: no space; what was done so far is kept.
            GalleryLockedError: another process went on changing the gallery for too long.
        """
        with self._changes.alone():
            self._models.settle(self._detector)
            roots = [
                _absolute(Path(source))
                if isinstance(source, str | os.PathLike)
                else keep_image(self._layout.kept, source, name, self._limits)
                for source in sources
            ]
            for root in roots:
                if os.path.lexists(root) and root.parent != self._layout.kept:
                    self._catalog.add_root(root)
            return self._changes.run(lambda planner: planner.plan(roots), listen)

    def refresh(self, listen: Callable[[Progress], None] = quiet) -> IndexReport:
        """Look again at everything that was ever added: see `add`."""
        with self._changes.alone():
            return self._changes.refresh(listen)

    def add_local_features(
        self, detector: str | None = None, listen: Callable[[Progress], None] = quiet
    ) -> int:
        """Find local features for the images that have none; the files are read again for it.

        Args:
            detector: change to this one first, which gives up the parts of another.
            listen: told the progress.

        Returns:
            How many images were given parts.

        Raises:
            ModelError: there is no detector of that name.
            MissingExtraError: it needs a package that is not installed.
        """
        with self._changes.alone():
            if detector is not None:
                self._models.change_detector(detector)
            return add_local_features(
                self._catalog,
                self._models.encoder(alone=False),
                self._changes.extra_detector(),
                self._limits,
                listen,
            )

    def update(
        self, paths: Iterable[Path], listen: Callable[[Progress], None] = quiet
    ) -> IndexReport:
        """Look only at paths that are known to have changed.

        Those not there are forgotten, but for what was itself added (or lies below it): see
        `IndexReport.unreachable`.
        """
        with self._changes.alone():
            changed = [_absolute(path) for path in paths]
            return self._changes.run(lambda planner: planner.changes(changed), listen)

    def remove(self, *paths: str | os.PathLike[str]) -> int:
        """Forget files, and folders with all below them.

        Nothing on disk is touched but the files of images that were added without one.

        Returns:
            How many files were forgotten. Those below a folder that is indexed again come back.

        Raises:
            QueryError: the gallery has nothing at one of the paths; nothing is removed then.
        """
        targets = [_absolute(Path(path)) for path in paths]
        with self._changes.alone():
            plans = {target: self._changes.planner(quiet).known_below(target) for target in targets}
            roots = self._catalog.roots()
            for target, plan in plans.items():
                if not plan.gone and target not in roots:
                    raise QueryError(f"the gallery has nothing at {target}")
            whole = Plan(gone=sorted({gone for plan in plans.values() for gone in plan.gone}))
            # First, lest the next run finds them again: a file that is gone is forgotten anyway.
            kept = self._catalog.find_folder(self._layout.kept)
            for number, name in whole.gone:
                if number == kept:
                    (self._layout.kept / os.fsdecode(name)).unlink(missing_ok=True)
            report = self._changes.carry_out(whole, quiet)
            for target in targets:
                self._catalog.drop_root(target)
            return report.removed

    # Searching

    def query(
        self,
        image: ImageSource | GalleryImage,
        *,
        region: Region | None = None,
        like: Sequence[ImageSource | GalleryImage] = (),
        unlike: Sequence[ImageSource | GalleryImage] = (),
    ) -> Query:
        """Make a query that can be searched with more than once; for the arguments see `search`."""
        return self._query_maker().make(image, region=region, like=like, unlike=unlike)

    def search(
        self,
        query: Query | GalleryImage | ImageSource,
        *,
        limit: int = 10,
        region: Region | None = None,
        like: Sequence[ImageSource | GalleryImage] = (),
        unlike: Sequence[ImageSource | GalleryImage] = (),
        where: str | Condition | None = None,
        exact: bool = False,
        rerank: str | None = None,
        verify: bool = True,
        small_objects: bool = False,
    ) -> SearchResult:
        """Find the images that show the same thing.

        Args:
            query: an image (a path, bytes, a file object, a PIL image or an array), a hit or an
                image of this gallery, or a `Query` made before.
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
            small_objects: compare the local features of every image, to find objects that are
                small in large images; takes some 50 ms for a thousand images.

        Raises:
            ImageError: the query cannot be used as an image.
            QueryError: the region, the limit or the condition makes no sense; a `Query` is
                combined with a region or examples; or `small_objects` is set without `verify`.
            RankingError: there is no reranker of that name.
            ModelMismatchError: the query was made with a model of another vector space.
        """
        clock = Clock()
        if isinstance(query, Query):
            if region is not None or like or unlike:
                raise QueryError(
                    "a finished query takes no region and no examples; "
                    "give them to Gallery.query, which makes it"
                )
        else:
            query = self._query_maker().make(
                query, region=region, like=like, unlike=unlike, clock=clock
            )
        searcher = Searcher(
            self._catalog,
            self._store(),
            self.model,
            self.space,
            self._models.verifier() if verify else None,
        )
        options = SearchOptions(limit, where, exact, rerank, small_objects)
        return searcher.search(query, options, clock)

    def search_vector(
        self,
        vector: ArrayLike,
        *,
        space: str | None = None,
        limit: int = 10,
        where: str | Condition | None = None,
        exact: bool = False,
    ) -> SearchResult:
        """Find the images whose vectors are nearest to one.

        Args:
            vector: ``(d,)`` numbers of any length but 0, such as `Features.vector` of the
                gallery's own model.
            space: the vector space that it belongs to; `None`: the gallery's.
            limit: as in `search`.
            where: as in `search`.
            exact: as in `search`.

        Raises:
            QueryError: the vector has another shape, is zero, or is not finite.
            ModelMismatchError: it belongs to another space.
        """
        query = Query.of_vector(vector, space=space or self.space, dim=self.model.dim)
        return self.search(query, limit=limit, where=where, exact=exact, verify=False)

    def _query_maker(self) -> QueryMaker:
        return QueryMaker(self.encoder, self.space, self._limits)

    def features(self, path: str | os.PathLike[str]) -> Features | None:
        """The stored features of a file of the gallery, or `None` when it has none."""
        target = _absolute(Path(path))
        folder = self._catalog.find_folder(target.parent)
        states = self._catalog.files_in(folder) if folder is not None else {}
        state = states.get(os.fsencode(target.name))
        if state is None or state.content is None:
            return None
        vector = self._store().vectors([state.content]).get(state.content)
        packed = self._catalog.local_features([state.content]).get(state.content)
        if vector is None or packed is None:
            return None
        local = packed_features.unpack(packed)
        return Features(vector, local.keypoints, local.descriptors, local.scores)

    def duplicates(
        self,
        level: str = "copy",
        listen: Callable[[Progress], None] = quiet,
        *,
        prefer: Sequence[str | os.PathLike[str]] = (),
    ) -> Duplicates:
        """Group the files that show the same; nothing on disk or in the gallery is changed.

        Images are compared with their nearest neighbours, pairs verified by their stored local
        features, and what agrees is read from its file and compared in colour: see
        `glocal.gallery.comparing`. Images without local features can be found identical only.
        What is called spare was read once more, and so was the file that stays.

        Args:
            level: ``copy``: identical files and edited, cropped or re-encoded copies; ``object``:
                other images of the same object or place too.
            listen: told the progress.
            prefer: folders whose files are rather kept.

        Returns:
            Those with the most bytes to free first.

        Raises:
            QueryError: there is no such level.
        """
        if level not in tuple(Level):
            raise QueryError(f"the level is {level!r}; it is one of: {', '.join(Level)}")
        verifier = self._models.verifier()
        calibration = None if verifier is None else verifier.calibration
        apart: frozenset[tuple[UUID, UUID]] = frozenset()
        chosen: frozenset[UUID] = frozenset()
        if self._layout.decisions.exists():
            with self.decisions() as decisions:
                apart, chosen = frozenset(decisions.apart()), decisions.stays()
        return find_duplicates(
            self._catalog,
            self._store(),
            calibration,
            Level(level),
            listen,
            self._limits,
            prefer=[_absolute(Path(folder)) for folder in prefer],
            apart=apart,
            chosen=chosen,
        )

    def decisions(self) -> Decisions:
        """What people decided about duplicates, to read and to change."""
        return Decisions(self._layout.decisions)

    @property
    def trash_journal(self) -> Path:
        """The file that notes what was moved to the system's trash."""
        return self._layout.folder / "trash.jsonl"

    def content_of(self, path: str | os.PathLike[str]) -> UUID | None:
        """The content of a file as the gallery knows it, or `None` when it has none."""
        target = _absolute(Path(path))
        folder = self._catalog.find_folder(target.parent)
        name = os.fsencode(target.name)
        states = {} if folder is None else self._catalog.files_named(folder, [name])
        state = states.get(name)
        return None if state is None else state.content

    # Knowing

    def info(self) -> GalleryInfo:
        """Count what the gallery holds."""
        counts = self._catalog.counts()
        return GalleryInfo(
            folder=self.folder,
            format=FORMAT,
            model=self.model,
            images=counts["images"],
            detector=self._models.detector_name,
            without_local_features=counts["images"] - counts["with_local_features"],
            files=counts["files"],
            failed=counts["failed"],
            in_graph=self._store().status().in_graph,
            roots=tuple(self._catalog.roots()),
            bytes_on_disk=disk_bytes(self.folder),
            local_feature_bytes=counts["local_feature_bytes"],
            bytes_free=self._layout.free_bytes(),
        )

    @property
    def catalog_file(self) -> Path:
        """The catalogue's file, for those who only look (`glocal.gallery.browsing`)."""
        return self._layout.catalog

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

    def check(self, *, sample: int | None = 1000) -> health.Health:
        """Examine the gallery; nothing is changed.

        Args:
            sample: how many images are searched by their own vector; `None`: all.
        """
        return health.examine(
            self._layout,
            self._catalog,
            self._store(),
            sample=sample,
            model_problem=self._model_problem(),
        )

    def repair(self, listen: Callable[[Progress], None] = quiet) -> IndexReport:
        """Mend what can be: make catalogue and vectors agree, read again what was lost or changed.

        Raises:
            GalleryLockedError: another process is changing the gallery.
        """
        with self._changes.alone():
            health.reconcile(self._catalog, self._store())
            return self._changes.refresh(listen)

    def _model_problem(self) -> str | None:
        try:
            if file_sha256(self._layout.model_file) != self.model.sha256:
                return f"the model file {self._layout.model_file.name} is damaged"
            self.encoder  # noqa: B018 - opening it is the test
        except GlocalError as error:
            return str(error)
        return None

    # Parts, opened when they are first needed

    def _store(self) -> Store:
        with self._opening:
            if self._closed:
                raise GalleryError(f"gallery {self.folder} is closed")
            if self._opened_store is None:
                self._opened_store = SharedStore(
                    self._layout.vectors_lock(),
                    lambda: EdgeStore(self._layout.vectors, self.model.dim),
                    serve=self._serve,
                    timeout=self._timeout,
                )
            return self._opened_store


def _absolute(path: Path) -> Path:
    """An absolute path without `..`; links in it are kept, since people know files by them."""
    with contextlib.suppress(RuntimeError):  # "~nobody": no such user, but perhaps such a file
        path = path.expanduser()
    return Path(os.path.abspath(path))
