"""Rows of equal length, one after another in a file that every process maps.

Folder layout, owned by this package::

    SPACE.i8                  rows of d bytes and a scale, see `glocal.gallery.stores.coding`
    SPACE.f16                 or of d float16 numbers, little-endian, in galleries of before
    SPACE.2.i8                the next generation of it, written by compaction
    SPACE.1.100000.graph      the graph over the first 100,000 rows of generation 1 (a cache)
    SPACE%2Fcoarse.i8         the regions of the same images, see `glocal.gallery.stores.regions`
    maintenance.lock          held by the one process that compacts or builds a graph

Which row is which image stands in the catalogue (`RowTable`). A batch is appended and synced, and
then the catalogue's transaction makes it part of the gallery: bytes behind the rows that the
catalogue knows are nobody's. They stay all the same, as dead rows: a process that was killed as it
committed may have left a transaction that names them, and that the catalogue completes when it is
next opened (see `RowTable.settle`). Readers map the file and take no lock.
"""

from __future__ import annotations

import glob
import logging
import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote
from uuid import UUID
from zlib import crc32

import filelock
import numpy as np
from numpy.typing import NDArray

from glocal.errors import DiskFullError, GalleryDamagedError, GalleryLockedError
from glocal.gallery.conditions import Condition, meets
from glocal.gallery.records import Attributes
from glocal.gallery.rows import BLOCK, Extent, RowTable, View
from glocal.gallery.stores.files import explained, sync, sync_folder, write_at
from glocal.gallery.stores.graph import GraphFile

_COPY_BYTES = 1 << 22
_log = logging.getLogger(__name__)


class ReplacedError(Exception):
    """Compaction has replaced the file, and the old one is gone."""


@contextmanager
def maintenance_lock(folder: Path) -> Iterator[bool]:
    """The right to compact and to build, if nobody has it: whether it was given."""
    lock = filelock.FileLock(folder / "maintenance.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


class RowFile:
    """The rows of a space on this machine's disk: written durably, mapped, compacted, checked.

    Args:
        folder: where the files lie; made with the first row.
        row: the type of one row, such as ``(float16, (d,))``.
        ending: of the files' names.
        rows: the table of them, in the catalogue.
    """

    def __init__(self, folder: Path, row: np.dtype[Any], ending: str, rows: RowTable) -> None:
        self.folder = folder
        self.rows = rows
        self.stem = quote(rows.space, safe="").replace(".", "%2E")
        self._row = row
        self.ending = ending
        self._lock = threading.Lock()  # held while files are mapped
        self._mapping: tuple[int, NDArray[Any]] | None = None

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self._row.itemsize

    def file(self, generation: int) -> Path:
        """The file of a generation."""
        numbered = f".{generation}" if generation > 1 else ""
        return self.folder / f"{self.stem}{numbered}.{self.ending}"

    def close(self) -> None:
        """Release the mapping."""
        with self._lock:
            self._mapping = None

    def bytes_on_disk(self) -> int:
        """Bytes that its files take, the graph's among them."""
        return sum(path.lstat().st_size for path in self.folder.glob(f"{glob.escape(self.stem)}.*"))

    # Changing

    def put(
        self, ids: Sequence[UUID], attributes: Sequence[Attributes], written: NDArray[Any]
    ) -> None:
        """Append rows, in place of those that the images have already."""
        with self.rows.database.change():
            self.rows.remove(ids)
            extent = self.rows.extent()
            if not self.folder.exists():
                self.folder.mkdir(parents=True)
                sync_folder(self.folder.parent)
            self._available(extent)
            left = self._left_behind(extent)
            self.rows.append_dead(left)
            path, start = self.file(extent.generation), (extent.rows + len(left)) * self.row_bytes
            try:
                write_at(path, start, written.tobytes())
            except BaseException:
                with suppress(OSError):  # nothing can name these bytes yet
                    os.truncate(path, start)
                raise
            self.rows.append(ids, attributes, written)

    def _left_behind(self, extent: Extent) -> NDArray[Any]:
        """Rows that the file has and the catalogue does not know, the last one made whole."""
        path = self.file(extent.generation)
        size = path.stat().st_size if path.exists() else 0
        rows = -(-size // self.row_bytes)
        if rows <= extent.rows:
            return np.zeros(0, self._row)
        with explained(path):
            os.truncate(path, rows * self.row_bytes)
        return self._open(extent.generation, rows)[extent.rows :]

    def set_folders(self, folders: Mapping[UUID, tuple[int, ...]]) -> None:
        """See `Store.set_folders`."""
        self.rows.set_folders(folders)

    def delete(self, ids: Sequence[UUID]) -> None:
        """See `Store.delete`."""
        self.rows.remove(ids)

    def clear(self) -> None:
        """Remove all rows; their file goes with the next `sweep`."""
        with self.rows.database.change():
            self.rows.replace(np.zeros(0, np.int64), np.zeros(0, self._row))

    # Reading

    def read(self, ids: Sequence[UUID]) -> tuple[list[UUID], NDArray[Any]]:
        """Those of the ids that have a row, and a copy of these rows."""
        while True:
            extent, found = self.rows.find(ids)
            with suppress(ReplacedError):
                mapped = self._map(extent)
                return list(found), np.take(mapped, np.array([*found.values()], np.int64), axis=0)

    def scan(self) -> Iterator[tuple[UUID, tuple[int, ...]]]:
        """See `Store.scan`."""
        view, columns = self.rows.described()
        for row in np.flatnonzero(view.live).tolist():
            yield view.id(row), columns.folder_sets[int(columns.folders[row])]

    def mapped(self) -> tuple[View, NDArray[Any]]:
        """What is committed now: the rows as the catalogue knows them, and their content.

        Raises:
            GalleryDamagedError: the file has fewer rows than were written.
        """
        view, written, _ = self.meeting(None)
        return view, written

    def meeting(self, where: Condition | None) -> tuple[View, NDArray[Any], NDArray[np.bool_]]:
        """What is committed now; and which rows are live and meet a condition, ``(rows,)``."""
        while True:
            if where is None:
                view = self.rows.view()
                allowed = view.live
            else:
                view, columns = self.rows.described()
                allowed = view.live & meets(where, columns)
            with suppress(ReplacedError):
                return view, self._map(view.extent), allowed

    def _map(self, extent: Extent) -> NDArray[Any]:
        with self._lock:
            if self._mapping is not None:
                generation, vectors = self._mapping
                if generation == extent.generation and len(vectors) >= extent.rows:
                    return vectors[: extent.rows]
            self._available(extent)
            vectors = self._open(extent.generation, extent.rows)
            self._mapping = extent.generation, vectors
            return vectors

    def _open(self, generation: int, rows: int) -> NDArray[Any]:
        if not rows:
            return np.zeros(0, self._row)
        try:
            return np.memmap(self.file(generation), self._row, "r", shape=(rows,))
        except FileNotFoundError as error:  # in this moment
            raise ReplacedError from error

    def _available(self, extent: Extent, *, tolerant: bool = False) -> int:
        """Rows of the known ones that the file has; an error where some are missing."""
        path = self.file(extent.generation)
        try:
            there = path.stat().st_size // self.row_bytes
        except FileNotFoundError as error:
            if self.rows.extent().generation != extent.generation:
                raise ReplacedError from error
            there = 0
        if there < extent.rows and not tolerant:
            raise GalleryDamagedError(
                f"{path} holds {there} of {extent.rows} rows; run: glocal check --repair"
            )
        return min(there, extent.rows)

    # Maintenance

    def damaged(self) -> list[UUID]:
        """See `Maintained.damaged`."""
        while True:
            view, checksums = self.rows.checked()
            with suppress(ReplacedError):
                there = self._available(view.extent, tolerant=True)
                vectors = self._open(view.extent.generation, there)
                break
        wrong = np.ones(view.extent.rows, np.bool_)
        for number, checksum in checksums:
            start, end = number * BLOCK, min((number + 1) * BLOCK, view.extent.rows)
            if end <= there and crc32(vectors[start:end].tobytes()) == checksum:
                wrong[start:end] = False
        return [view.id(row) for row in np.flatnonzero(wrong & view.live).tolist()]

    def rewrite(self) -> None:
        """See `Maintained.rewrite`; writers wait only for the end of it."""
        with maintenance_lock(self.folder) as free:
            if not free:
                return
            view = self.rows.view()
            kept = np.flatnonzero(view.live)
            new = self.file(view.extent.generation + 1)
            if new.exists():  # left by a process that was killed
                self.rows.settle()
            partial = new.with_name(f"{new.name}.partial")
            with explained(new), partial.open("wb", buffering=0) as file:
                self._copy(kept, view.extent, file)
                with self.rows.database.change():
                    now = self.rows.view()
                    if now.extent.generation != view.extent.generation:
                        return  # cleared meanwhile
                    added = np.flatnonzero(now.live[len(view.live) :]) + len(view.live)
                    self._copy(added, now.extent, file)
                    sync(file.fileno())
                    partial.replace(new)
                    sync_folder(self.folder)
                    kept = np.concatenate([kept, added])
                    vectors = self._open(now.extent.generation + 1, len(kept))
                    self.rows.replace(kept, vectors)

    def _copy(self, rows: NDArray[np.int64], extent: Extent, file: BinaryIO) -> None:
        there = self._available(extent, tolerant=True)
        if len(rows) and rows[-1] >= there:
            raise GalleryDamagedError(
                f"{self.file(extent.generation)} is too short; run: glocal check --repair"
            )
        vectors = self._open(extent.generation, there)
        step = max(_COPY_BYTES // self.row_bytes, 1)
        for start in range(0, len(rows), step):
            file.write(np.take(vectors, rows[start : start + step], axis=0).tobytes())

    def sweep(self) -> None:
        """Delete what nobody needs any more: older generations, and what a killed process left.

        Nothing goes while the file in use is shorter than it should be: an older one may have more.
        Nor does anything inside a change, which may be undone.
        """
        database = self.rows.database
        if database.changing or not self._unused():
            return
        with maintenance_lock(self.folder) as free:
            if not free:
                return
            # Where nothing can be committed now, all of it stays until the next time.
            with suppress(GalleryLockedError, DiskFullError):
                self.rows.settle()
                with database.change():  # so that no file comes into use meanwhile
                    self._delete_unused()

    def _delete_unused(self) -> None:
        extent = self.rows.extent()
        if self._available(extent, tolerant=True) >= extent.rows:
            for path in self._unused():
                _log.info("deleting %s", path)
                with suppress(OSError):  # mapped by another process, which Windows minds
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _unused(self) -> list[Path]:
        """Files of this space that are not in use, and what format 1 had here."""
        graph = GraphFile.known(self.rows.database, self.rows.space)
        used = {self.file(self.rows.extent().generation).name, graph.name if graph else ""}
        found = list(self.folder.iterdir()) if self.folder.is_dir() else []
        old = [p for p in found if p.name == "current" or p.name.startswith("shard-")]
        return old + [p for p in found if p.name.startswith(f"{self.stem}.") and p.name not in used]
