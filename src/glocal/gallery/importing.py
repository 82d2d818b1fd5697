"""A table of embeddings is imported: its images, with the vectors that the table has of them.

A gallery knows an image by the bytes of its file, and reads these again for local features, regions
and what people are shown. So a row is taken whose file is there, in a folder that was named or
indexed before (a table cannot bring in what lies elsewhere), or whose image the table itself has,
which is then kept in the gallery's folder. Others are refused, and counted by their reasons.
Nothing is encoded: `Gallery.add_local_features` and `Gallery.add_regions` add the rest later.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import Features
from glocal.errors import ImageError, QueryError
from glocal.gallery import batches
from glocal.gallery.ahead import as_finished
from glocal.gallery.batches import BatchWriter, ReadFile
from glocal.gallery.context import Context
from glocal.gallery.describing import Description, as_content, content_id, with_sidecar
from glocal.gallery.indexing import build_graphs
from glocal.gallery.keep import keep_image
from glocal.gallery.plan import Planner
from glocal.gallery.progress import Progress
from glocal.gallery.table_source import TableImage, TableSource
from glocal.gallery.walk import FoundFile
from glocal.gallery.words import follow_words
from glocal.images import Facts, load, read_bytes
from glocal.images.captions import read_caption

NO_PATH = "no file is named, and the table has no image"
NOT_THERE = "there is no such file, and the table has no image"
CHANGED = "the file is not the one that was encoded"
OUTSIDE = "the file lies in no folder that was named or indexed, or is left out there"
TILE = "the vector is of a tile of the image"
NO_IMAGE = "the image cannot be read"
NO_VECTOR = "the vector is zero"
REPEATED = "an earlier row has the same file"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rows of a table that were not imported for one reason.

    Attributes:
        reason: why.
        rows: how many.
        example: the first of them: its file, or its id.
    """

    reason: str
    rows: int
    example: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What the import of a table did, counted in rows.

    Attributes:
        rows: that the table has.
        added: whose files are in the gallery now.
        updated: whose files the gallery had with another content.
        unchanged: whose images the gallery had already, with vectors that it keeps.
        refused: all others, most frequent reasons first.
    """

    rows: int
    added: int
    updated: int
    unchanged: int
    refused: tuple[Refusal, ...]


@dataclass(slots=True)
class TableImport:
    """One import of a table.

    Args:
        context: of the gallery.
        planner: compares files with the catalogue.
        writer: writes what is read.
        listen: told the progress.
    """

    context: Context
    planner: Planner
    writer: BatchWriter
    listen: Callable[[Progress], None]
    _unchanged: int = 0
    _refused: dict[str, Refusal] = field(default_factory=dict)

    def run(self, source: TableSource) -> ImportReport:
        """Import all rows; what was committed when it is stopped is kept.

        Raises:
            TableError: the file is damaged further on.
            BridgeError: the vectors do not fit the bridge.
            DiskFullError: there is too little space.
        """
        done = 0
        for rows in source.rows(self.context.layout.model.dim):
            self._import(rows)
            done += len(rows)
            refused = sum(each.rows for each in self._refused.values())
            unchanged = self._unchanged + self.writer.unchanged
            self.listen(Progress("encode", done, source.table.rows, unchanged, refused))
        self.writer.settle()
        follow_words(self.context.catalog, done)
        build_graphs(self.context, self.listen)
        return ImportReport(
            done,
            self.writer.added,
            self.writer.updated,
            self._unchanged + self.writer.unchanged,
            tuple(sorted(self._refused.values(), key=lambda each: -each.rows)),
        )

    def _import(self, rows: Iterable[TableImage]) -> None:
        by_path: dict[Path, TableImage] = {}
        for row in rows:
            self._place(row, by_path)
        plan = self.planner.plan(by_path)
        self._unchanged += plan.unchanged
        for failure in plan.failed:
            if (failed := by_path.get(failure.path)) is not None:
                self._refuse(NO_IMAGE, failed, failure.reason)
        self.writer.learn(plan.learned)
        waiting = list(plan.files())
        while waiting:
            waiting = self._take(waiting, by_path)

    def _place(self, row: TableImage, by_path: dict[Path, TableImage]) -> None:
        """Say which file is read for a row, or refuse it."""
        there = row.path is not None and os.path.isfile(row.path)
        if not row.vector.any():
            self._refuse(NO_VECTOR, row)
        elif row.path is not None and there and self.planner.follows(row.path):
            if row.path in by_path:
                self._refuse(TILE if row.box else REPEATED, row)
            else:
                by_path[row.path] = row
        elif row.image is not None:
            self._keep(row, row.image, by_path)
        elif row.path is None:
            self._refuse(NO_PATH, row)
        else:
            self._refuse(OUTSIDE if there else NOT_THERE, row)

    def _keep(self, row: TableImage, image: bytes, by_path: dict[Path, TableImage]) -> None:
        """Give an image of the table a file in the gallery, where it has none yet."""
        if self.context.catalog.known(content_id(image)):
            self._unchanged += 1
            return
        folder, limits = self.context.layout.kept, self.context.limits
        self.context.layout.require_space()
        try:
            try:
                path = keep_image(folder, image, row.id, limits)
            except QueryError:  # the id cannot be a file's name
                path = keep_image(folder, image, None, limits)
        except ImageError as error:
            self._refuse(NO_IMAGE, row, str(error))
            return
        # It may be smaller than what was encoded, or a tile of it, as the vector is.
        by_path[path] = replace(row, path=path, content=None, box=None)

    def _take(
        self, files: Iterable[tuple[Path, FoundFile]], by_path: Mapping[Path, TableImage]
    ) -> list[tuple[Path, FoundFile]]:
        """Read files and write them; those that have to be read again."""

        def read(found: tuple[Path, FoundFile]) -> tuple[TableImage, ReadFile | str, str]:
            folder, file = found
            row = by_path[folder / os.fsdecode(file.name)]
            try:
                return row, self._read(folder, file, row), ""
            except ImageError as error:
                return row, NO_IMAGE, str(error)

        batch: list[ReadFile] = []
        stale: list[ReadFile] = []
        results = as_finished(read, files)
        try:
            for row, outcome, detail in results:
                if isinstance(outcome, str):
                    self._refuse(outcome, row, detail)
                    continue
                batch.append(outcome)
                if len(batch) >= batches.BATCH:
                    stale += self.writer.write(batch)
                    batch = []
        finally:
            results.close()
            stale += self.writer.write(batch)
        return [(each.folder, each.file) for each in stale]

    def _read(self, folder: Path, file: FoundFile, row: TableImage) -> ReadFile | str:
        """What is written of a file, or why it is refused.

        Raises:
            ImageError: it cannot be read.
        """
        path, limits = folder / os.fsdecode(file.name), self.context.limits
        data = read_bytes(path, limits)
        content = content_id(data)
        if row.content not in (None, content):
            return CHANGED
        if self.context.catalog.known(content):
            return ReadFile(folder, file, content)
        image = load(data, min_side=1, limits=limits, name=path)
        if row.box not in (None, (0, 0, image.facts.width, image.facts.height)):
            return TILE
        described = Description(
            as_content(content, _completed(with_sidecar(image.facts, path), row)),
            _vector_alone(row.vector),
            small=b"",
            share=image.share,
            caption=read_caption(data, path),
            encoded=False,
        )
        return ReadFile(folder, file, content, described)

    def _refuse(self, reason: str, row: TableImage, detail: str = "") -> None:
        known = self._refused.get(reason)
        if known is not None:
            self._refused[reason] = replace(known, rows=known.rows + 1)
            return
        example = row.id if row.path is None else str(row.path)
        self._refused[reason] = Refusal(reason, 1, f"{example}: {detail}" if detail else example)


def _vector_alone(vector: NDArray[np.float32]) -> Features:
    none = np.zeros((0, 2), np.float32)
    return Features(vector, none, none, none[:, 0])


def _completed(facts: Facts, row: TableImage) -> Facts:
    """Facts with what they lack of date and place, from the table."""
    if facts.taken is None:
        facts = replace(facts, taken=row.taken)
    if facts.latitude is None and row.position is not None:
        facts = replace(facts, latitude=row.position[0], longitude=row.position[1])
    return facts
