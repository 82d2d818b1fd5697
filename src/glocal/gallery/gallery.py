"""The gallery, in one class: open, add, search, compare, remove, check, close."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Self

from glocal.encoders import NO_REGIONS
from glocal.encoders.model_files import file_sha256
from glocal.errors import GalleryError, GlocalError
from glocal.gallery import health
from glocal.gallery.conditions import Condition
from glocal.gallery.embedding_table import write_table
from glocal.gallery.exporting import table_rows
from glocal.gallery.filling import Filling
from glocal.gallery.finding_otherwise import FindingOtherwise
from glocal.gallery.layout import FORMAT, UPGRADING, require_settled
from glocal.gallery.pairing import Pairing
from glocal.gallery.progress import Progress, quiet
from glocal.gallery.results import GalleryInfo, IndexReport, TextModelInfo
from glocal.gallery.stores.files import disk_bytes
from glocal.gallery.upgrading import Upgrade

_log = logging.getLogger(__name__)


class Gallery(Filling, FindingOtherwise, Pairing):
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
        cluster: file of the cluster that keeps the vectors of a new gallery (see
            `glocal.cluster.config`); of an existing gallery that has them in a cluster, where that
            is from now on. `None`: the gallery's folder, or wherever they are.
        compact: make a gallery whose local features are kept as product codes, or with 4 bits a
            number where these say too little: 2.3 kB of an image, or 3.8, in place of 6.9. An
            existing gallery has to be so already.
        budget_ms: milliseconds that the model may take for an image, where its file holds several
            encoders (`glocal stitch`): the most accurate that keeps it is used, or the fastest.

    Raises:
        GalleryMissingError: there is no gallery, and `create` is false.
        GalleryFormatError: the folder is something else, or of another version.
        GalleryLockedError: another process kept the gallery locked for too long.
        MissingExtraError: the gallery is of format 1, and what reads that is not installed.
        ModelMismatchError: its vectors are of another space than those of the model named, or its
            local features of another detector (when images are added; `add_local_features`
            changes it), or its regions are others (likewise; see `add_regions`).
        ModelError: the model cannot be found or run, or leaves nothing to choose for `budget_ms`.
        StoreUnavailableError: a new gallery's cluster does not answer. Later it is asked only
            where vectors are needed, and this is raised then.
    """

    def __enter__(self) -> Self:
        self._require_open()
        return self

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
            text_model=self._text_model_if_sound(),
            store=self._layout.store.kind,
            collection=self._layout.store.collection or None,
            catalogue=self._layout.store.catalogue or None,
        )

    def _text_model_if_sound(self) -> TextModelInfo | None:
        """Nothing else of a gallery depends on its text model: damage to it is told, no more."""
        try:
            return self.text_model()
        except GalleryError as error:
            _log.warning("%s", error)
            return None

    def upgrade(self) -> Upgrade:
        """Change to another model while the gallery stays in use; see `Upgrade`."""
        self._require_open()
        return Upgrade(self._catalog, self._now)

    def export(self, path: str | os.PathLike[str], *, where: str | Condition | None = None) -> int:
        """Write vectors and what is known of their images to a Parquet file.

        Args:
            path: of the file; see `glocal.gallery.embedding_table` for its columns.
            where: only images that meet a condition.

        Returns:
            How many images were written.

        Raises:
            QueryError: the condition makes no sense.
            TableError: the file cannot be written.
            MissingExtraError: the extra ``tables`` is not installed.
        """
        self._require_open()
        require_settled(self._layout)  # during an upgrade there are vectors of two spaces
        browser = self.browse()
        condition = browser.condition(where) if isinstance(where, str) else where
        rows = table_rows(browser, self._store().vectors, condition)
        model = self.model
        return write_table(path, rows, dim=model.dim, space=model.space, model=str(model))

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
