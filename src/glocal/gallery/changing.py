"""Changing a gallery: alone, planned first, and mended when the last change was cut short."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from glocal import __version__
from glocal.encoders import OWN, Detector
from glocal.errors import GalleryError
from glocal.gallery import health
from glocal.gallery.catalog import Catalog
from glocal.gallery.indexing import IndexRun, Progress
from glocal.gallery.layout import Layout
from glocal.gallery.models import Models
from glocal.gallery.plan import Plan, Planner
from glocal.gallery.results import IndexReport
from glocal.gallery.stores.base import Store
from glocal.images import Limits

_log = logging.getLogger(__name__)
_DIRTY = "changing"


class Changes:
    """What changes one gallery, one change at a time over all threads and processes.

    Args:
        layout: of the gallery.
        catalog: the gallery's.
        store: gives the gallery's vectors, opened when they are first needed.
        models: the gallery's.
        limits: how large images may be.
        timeout: seconds to wait for another change.
    """

    def __init__(
        self,
        layout: Layout,
        catalog: Catalog,
        store: Callable[[], Store],
        models: Models,
        limits: Limits,
        timeout: float,
    ) -> None:
        self._layout = layout
        self._catalog = catalog
        self._store = store
        self._models = models
        self._limits = limits
        self._timeout = timeout
        self._writing = threading.Lock()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one, of all threads and processes, that changes the gallery.

        Raises:
            GalleryError: another thread went on for too long.
            GalleryLockedError: another process did.
        """
        if not self._writing.acquire(timeout=self._timeout):
            raise GalleryError(
                f"another thread has been changing gallery {self._layout.folder} "
                f"for {self._timeout:g} s"
            )
        try:
            lock = self._layout.write_lock()
            lock.acquire(self._timeout)
            try:
                if self._catalog.get_state(_DIRTY) == "1":
                    _log.info("the last change was cut short: comparing catalogue and vectors")
                    health.reconcile(self._catalog, self._store())
                self._catalog.set_state(_DIRTY, "1")
                yield
                self._catalog.set_state(_DIRTY, "0")
            finally:
                lock.release()
        finally:
            self._writing.release()

    def run(
        self, make_plan: Callable[[Planner], Plan], listen: Callable[[Progress], None]
    ) -> IndexReport:
        """Plan a change and carry it out."""
        started = time.monotonic()
        plan = make_plan(self.planner(listen))
        return self.carry_out(plan, listen, started)

    def refresh(self, listen: Callable[[Progress], None]) -> IndexReport:
        """Look again at everything that was ever added."""
        roots = self._catalog.roots()
        if self._layout.kept.is_dir():
            roots.append(self._layout.kept)
        return self.run(lambda planner: planner.plan(roots), listen)

    def planner(self, listen: Callable[[Progress], None]) -> Planner:
        """What compares the gallery with the disk."""
        return Planner(
            self._catalog,
            self._layout.folder,
            self._catalog.roots(),
            self._reader(),
            lambda found: listen(Progress("scan", found)),
        )

    def carry_out(
        self, plan: Plan, listen: Callable[[Progress], None], started: float | None = None
    ) -> IndexReport:
        """Carry out a plan that was begun at a moment of `time.monotonic`, or now."""
        run = IndexRun(
            self._layout,
            self._catalog,
            self._store,
            lambda: self._models.encoder(alone=False),
            self.extra_detector,
            self._limits,
            self._reader(),
            listen,
        )
        return run.carry_out(plan, time.monotonic() if started is None else started)

    def extra_detector(self) -> Detector | None:
        """What finds local features, where the encoder does not do it in passing."""
        return None if self._models.detector_name == OWN else self._models.detector(alone=False)

    def _reader(self) -> str:
        return f"{__version__} {self._limits.max_bytes} {self._limits.max_pixels}"
