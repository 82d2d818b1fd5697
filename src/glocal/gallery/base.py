"""A gallery that is open: its files, its model, and following what another process changes."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn
from uuid import UUID

from glocal.encoders import DEFAULT_MODEL, OnnxEncoder, find_model
from glocal.encoders.onnx import check_budget, read_card
from glocal.encoders.stitches import Stitch, stitches_of
from glocal.errors import GalleryError, GlocalError, ModelError, ModelMismatchError
from glocal.gallery.browsing import Browser
from glocal.gallery.catalog import Catalog
from glocal.gallery.catalogue_place import staying
from glocal.gallery.changing import Changes
from glocal.gallery.context import Context
from glocal.gallery.database import Engine
from glocal.gallery.layout import Layout, open_layout, stamp_of
from glocal.gallery.meaning import Meanings
from glocal.gallery.model_id import ModelId
from glocal.gallery.models import Models
from glocal.gallery.opened import Opened
from glocal.gallery.region_index import RegionIndex
from glocal.gallery.results import SearchResult
from glocal.gallery.stores.base import Store
from glocal.gallery.upgrading import sweep_left
from glocal.gallery.words import Words
from glocal.images import Limits
from glocal.images.url_paths import UrlPath, given_path
from glocal.registry import load

_log = logging.getLogger(__name__)


class GalleryBase:
    """What every part of a `Gallery` works on; see there for the arguments."""

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
        cluster: str | os.PathLike[str] | None = None,
        compact: bool = False,
        budget_ms: float | None = None,
    ) -> None:
        where = absolute(default_folder() if folder is None else folder)
        if isinstance(where, UrlPath):
            raise GalleryError(
                f"a gallery lies in a folder of this machine, not at {where}; name a folder (its "
                "photos may be at URLs)"
            )
        if budget_ms is not None and create and not (where / "gallery.json").exists():
            # Before there is a gallery of a model that cannot be used so.
            check_budget(find_model(model or DEFAULT_MODEL, sha256), budget_ms)
        layout = open_layout(
            where,
            model=model,
            sha256=sha256,
            create=create,
            timeout=timeout,
            cluster=None if cluster is None else absolute(Path(cluster)),
            compact=compact,
        )
        if budget_ms is not None:
            check_budget(layout.encoder_file, budget_ms)
        self._budget_ms = budget_ms
        self._limits = limits or Limits()
        self._model, self._timeout, self._side_by_side = model, timeout, side_by_side
        self._catalogs: list[tuple[Catalog, Words]] = []  # the last is the gallery's
        self._opened = self._open_current(layout)
        self._following = threading.Lock()
        self._meanings = Meanings()
        self._detector = detector
        self._wanted_regions = regions
        self._closed = False
        if not (self._catalog.read_only or layout.migrated):
            self._opened.sweep()
            sweep_left(self._opened)

    @property
    def _catalog(self) -> Catalog:
        return self._catalogs[-1][0]

    @property
    def _words(self) -> Words:
        return self._catalogs[-1][1]

    def _open_current(self, layout: Layout) -> Opened:
        """Open what a description says, or the next one where it was replaced meanwhile."""
        while True:
            opened = None
            try:
                opened = self._open(layout)
            except GlocalError:
                if stamp_of(layout.folder) == layout.stamp:
                    raise
            # Else what was opened may be a catalogue that the gallery has just left.
            if opened is not None and stamp_of(layout.folder) == layout.stamp:
                return opened
            layout = self._changed_layout(layout.folder)

    def _open(self, layout: Layout) -> Opened:
        if not self._catalogs or self._catalog.engine.name != layout.store.catalogue:
            # What threads still read of the old one stays open.
            catalog = open_catalog(layout, self._timeout)
            self._catalogs.append((catalog, Words(catalog)))
        return Opened.of(
            layout,
            self._catalog,
            self._limits,
            side_by_side=self._side_by_side,
            budget_ms=self._budget_ms,
        )

    def _now(self) -> Opened:
        """What is open, opened anew after an upgrade or a move, in whatever process."""
        if stamp_of(self.folder) != self._opened.stamp:
            with self._following:
                if stamp_of(self.folder) != self._opened.stamp:
                    # What threads still search in the old one stays open until they have ended.
                    self._opened = self._open_current(self._changed_layout(self.folder))
        return self._opened

    def _catalog_now(self) -> Catalog:
        self._require_open()
        return self._catalog

    def _changed_layout(self, folder: Path) -> Layout:
        opening = partial(open_layout, folder, sha256=None, create=False, timeout=self._timeout)
        try:
            layout = opening(model=self._model)
        except ModelMismatchError:  # it was named for the space that the gallery has left
            layout = opening(model=None)
        if self._budget_ms is not None:
            try:
                check_budget(layout.encoder_file, self._budget_ms)
            except ModelError as error:  # it was set for the model that the gallery has left
                _log.warning("%s; there is no budget any more", error)
                self._budget_ms = None
        return layout

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

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r}){' (closed)' if self._closed else ''}"

    def __reduce__(self) -> NoReturn:
        raise GalleryError(
            f"an open gallery cannot be pickled or copied; pass its folder, {str(self.folder)!r}, "
            "and open that there: any number of processes can at the same time"
        )

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the files; closing twice is fine."""
        self._closed = True
        self._opened.close()
        for catalog, words in self._catalogs:
            words.close()
            catalog.close()

    @property
    def folder(self) -> Path:
        """Where the gallery lies."""
        return self._layout.folder

    @property
    def read_only(self) -> bool:
        """Whether it cannot be changed, as in a mounted archive."""
        return self._catalog.read_only

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
    def budget_ms(self) -> float | None:
        """Milliseconds that its model may take for an image, if that was set."""
        return self._budget_ms

    @property
    def stitches(self) -> tuple[Stitch, ...]:
        """The encoders that its model's file holds, from fast to slow; empty where it holds one.

        Raises:
            ModelError: the file is lost, or its card is damaged.
        """
        path = self._layout.encoder_file
        card = read_card(path)
        return () if card is None else stitches_of(card.everything, str(path))

    @property
    def limits(self) -> Limits:
        """How large images may be."""
        return self._limits

    @property
    def encoder(self) -> OnnxEncoder:
        """The model itself; any thread may use it."""
        return self._models.encoder()

    def browse(self) -> Browser:
        """A view of the gallery for people who look around; it ends with the gallery."""
        return Browser(self._catalog_now, lambda: self._now().rows)

    def opened(self) -> Opened:
        """What is open of it at this moment, for searches in several galleries."""
        self._require_open()
        return self._opened

    def _searched(self, search: Callable[[Opened], SearchResult]) -> SearchResult:
        """What a search of what is open finds, again where an upgrade began or ended meanwhile."""
        while True:
            self._require_open()
            opened = self._opened
            try:
                result = search(opened)
            except GlocalError:
                if self._now() is opened:
                    raise
            else:
                if self._now() is opened:
                    opened.note_found(result)
                    return result

    def _store(self) -> Store:
        self._require_open()
        return self._context.store

    def _require_open(self) -> None:
        """Make sure that the gallery is open, and that what is open is of this moment."""
        if self._closed:
            raise GalleryError(f"gallery {self.folder} is closed")
        self._now()

    def _require_writable(self) -> None:
        """Make sure, before work whose result is to be kept, that it can be."""
        self._require_open()
        if self.read_only:
            raise GalleryError(f"gallery {self.folder} can only be read; make its folder writable")

    def content_of(self, path: str | os.PathLike[str]) -> UUID | None:
        """The content of a file as the gallery knows it, or `None` when it has none."""
        return self._catalog_now().content_of(absolute(path))


def open_catalog(layout: Layout, timeout: float) -> Catalog:
    """The catalogue of a gallery, wherever it is."""
    name = layout.store.catalogue
    place: Path | Engine = layout.catalog
    if name:
        place = load("catalogue", "postgres")(layout.cluster, name, timeout)
    return Catalog(place, timeout=timeout, check=staying(layout.folder, name))


def default_folder() -> Path:
    """The gallery of this user: ``GLOCAL_GALLERY``, or a folder where the platform keeps data."""
    named = os.environ.get("GLOCAL_GALLERY")
    if named:
        return Path(named).expanduser()
    import platformdirs  # only without the variable

    return platformdirs.user_data_path("glocal", appauthor=False) / "gallery"


def absolute(path: str | os.PathLike[str]) -> Path:
    """An absolute path without `..`; links in it are kept, since people know files by them.

    What looks like a URL becomes a `UrlPath`.
    """
    path = given_path(path)
    if isinstance(path, UrlPath):
        return path
    with contextlib.suppress(RuntimeError):  # "~nobody": no such user, but perhaps such a file
        path = path.expanduser()
    return Path(os.path.abspath(path))
