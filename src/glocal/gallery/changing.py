"""Changing a gallery: planned first, then carried out batch by batch, beside other changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from glocal import __version__
from glocal.encoders import OWN
from glocal.encoders.model_files import file_sha256
from glocal.gallery.batches import BatchWriter
from glocal.gallery.context import Context
from glocal.gallery.describing import Describer
from glocal.gallery.importing import ImportReport, TableImport
from glocal.gallery.indexing import IndexRun
from glocal.gallery.models import Models
from glocal.gallery.plan import Plan, Planner
from glocal.gallery.progress import Progress, quiet
from glocal.gallery.reading import read_missing
from glocal.gallery.reading_files import Apart, FileReader, Reading, Recipe, Workers
from glocal.gallery.results import IndexReport
from glocal.gallery.table_source import TableSource
from glocal.registry import load


class Changes:
    """What changes one gallery.

    Args:
        context: of the gallery.
        models: the gallery's.
    """

    def __init__(self, context: Context, models: Models) -> None:
        self._context = context
        self._models = models

    def run(
        self, make_plan: Callable[[Planner], Plan], listen: Callable[[Progress], None]
    ) -> IndexReport:
        """Plan a change and carry it out."""
        started = time.monotonic()
        plan = make_plan(self.planner(listen))
        report = self.carry_out(plan, listen, started)
        read_missing(self._context.catalog, self._context.limits, listen)
        return report

    def refresh(self, listen: Callable[[Progress], None]) -> IndexReport:
        """Look again at everything that was ever added."""
        roots = self._context.catalog.roots()
        if self._context.layout.kept.is_dir():
            roots.append(self._context.layout.kept)
        return self.run(lambda planner: planner.plan(roots), listen)

    def planner(self, listen: Callable[[Progress], None]) -> Planner:
        """What compares the gallery with the disk."""
        return Planner(
            self._context.catalog,
            self._context.layout.folder,
            self._context.catalog.roots(),
            self._reader(),
            lambda found: listen(Progress("scan", found)),
            self._context.catalog.left_out(),
        )

    def carry_out(
        self, plan: Plan, listen: Callable[[Progress], None], started: float | None = None
    ) -> IndexReport:
        """Carry out a plan that was begun at a moment of `time.monotonic`, or now."""
        run = IndexRun(self._context, self.reading, self._reader(), self.require(), listen)
        return run.carry_out(plan, time.monotonic() if started is None else started)

    def import_table(self, source: TableSource, listen: Callable[[Progress], None]) -> ImportReport:
        """Import a table of embeddings."""
        context = self._context
        writer = BatchWriter(context, self._reader(), self.require())
        report = TableImport(context, self.planner(quiet), writer, listen).run(source)
        read_missing(context.catalog, context.limits, listen)
        return report

    def reading(self) -> Reading:
        """What reads files: the cluster's workers where the gallery has any, or this process."""
        workers = self._workers()
        if workers is None:
            return self._reading_here()
        encoder = self._models.encoder(side_by_side=True)
        regions = self._context.regions.settings if encoder.gives_regions else None
        recipe = Recipe(
            file_sha256(encoder.path), self._models.detector_name, self._context.limits, regions
        )
        there = partial(workers.read, recipe, encoder.path)
        return Apart(there, self._reading_here, self._context.layout.kept).read

    def _reading_here(self) -> Reading:
        return FileReader(self.describer(), self._context.catalog.known).read_all

    def _workers(self) -> Workers | None:
        layout = self._context.layout
        if not layout.store.elsewhere:
            return None
        workers: Workers | None = load("store", layout.store.kind).workers(layout.cluster)
        return workers

    def describer(self) -> Describer:
        """What describes images, several at a time."""
        encoder = self._models.encoder(side_by_side=True)
        extra = None  # where the encoder finds local features in passing
        if self._models.detector_name != OWN:
            extra = self._models.detector(side_by_side=True)
        return Describer(
            encoder,
            extra,
            self._context.limits,
            self._context.regions.settings if encoder.gives_regions else None,
        )

    def require(self) -> Callable[[], None]:
        """A check that the gallery still has the detector and the regions of this moment."""
        regions = self._context.regions
        detector, choice = self._models.detector_name, regions.choice

        def check() -> None:
            self._context.layout.require_current()
            self._models.require(detector)
            regions.require(choice)

        return check

    def _reader(self) -> str:
        limits = self._context.limits
        return f"{__version__} {limits.max_bytes} {limits.max_pixels}"
