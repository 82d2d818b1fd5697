"""An index run: have read and described what a plan says, and write it batch by batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from glocal.gallery import batches
from glocal.gallery.batches import BatchWriter, ReadFile
from glocal.gallery.context import Context
from glocal.gallery.plan import Plan
from glocal.gallery.progress import Progress, quiet
from glocal.gallery.reading_files import Found, Reading
from glocal.gallery.results import IndexReport
from glocal.gallery.stores.base import Maintained
from glocal.gallery.words import follow_words

_BATCH_SECONDS = 2.0


@dataclass(slots=True)
class IndexRun:
    """One run over a plan.

    Args:
        context: of the gallery.
        load_reading: gives what reads files; a run that reads nothing never calls it.
        reader: see `Planner`.
        require: raises an error where what describes images is not the gallery's any more.
        listen: told the progress.
    """

    context: Context
    load_reading: Callable[[], Reading]
    reader: str
    require: Callable[[], None]
    listen: Callable[[Progress], None] = quiet

    def carry_out(self, plan: Plan, started: float) -> IndexReport:
        """Do what the plan says and report; `started` is `time.monotonic` when planning began.

        Raises:
            DiskFullError: too little space; everything committed so far is whole.
            KeyboardInterrupt: as it came, after the last full batch was committed.
        """
        writer = BatchWriter(
            self.context,
            self.reader,
            self.require,
            unchanged=plan.unchanged,
            failed=list(plan.failed),
        )
        total = plan.count()
        encoding = 0.0
        if total:
            self.context.layout.require_space()
            reading = self.load_reading()
            began = time.monotonic()
            stale = self._read_all(plan.files(), total, reading, writer)
            while stale:
                stale = self._read_all(stale, total, reading, writer)
            encoding = time.monotonic() - began
        writer.remove(plan.gone)
        writer.learn(plan.learned)
        writer.settle()
        follow_words(self.context.catalog, total + len(plan.gone))
        if total or plan.gone:
            build_graphs(self.context, self.listen)
        return IndexReport(
            added=writer.added,
            updated=writer.updated,
            unchanged=writer.unchanged,
            removed=len(plan.gone),
            failed=tuple(writer.failed),
            unreachable=tuple(plan.unreachable),
            not_read=dict(plan.not_read),
            truncated=tuple(sorted(writer.truncated)),
            seconds=time.monotonic() - started,
            images_per_second=total / encoding if total else 0.0,
        )

    def _read_all(
        self,
        files: Iterable[Found],
        total: int,
        reading: Reading,
        writer: BatchWriter,
    ) -> list[Found]:
        """Read files and write them; those that have to be read again."""
        reads = reading(files)
        batch: list[ReadFile] = []
        stale: list[ReadFile] = []
        written = time.monotonic()
        done = 0
        try:
            for read in reads:
                batch.append(read)
                done += 1
                if len(batch) >= batches.BATCH or time.monotonic() - written > _BATCH_SECONDS:
                    stale += writer.write(batch)
                    batch, written = [], time.monotonic()
                failed = len(writer.failed) + sum(read.reason is not None for read in batch)
                self.listen(Progress("encode", done, total, writer.unchanged, failed))
        finally:
            # Also on Ctrl-C: what has been read by now is worth keeping.
            reads.close()
            stale += writer.write(batch)
        return [(read.folder, read.file) for read in stale]


def build_graphs(context: Context, listen: Callable[[Progress], None]) -> None:
    """Begin to build graphs where that pays, and wait for them."""
    for store in (context.store, context.regions.store):
        if isinstance(store, Maintained) and store.maintain():
            total = store.status().vectors
            while store.status().building:
                listen(Progress("graph", total=total))
                time.sleep(0.1)
