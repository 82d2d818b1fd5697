"""The embedded store: vectors one after another in a file that every process maps.

Folder layout, owned by this module::

    SPACE.f16                 rows of d float16 numbers, little-endian, nothing else
    SPACE.2.f16               the next generation of it, written by compaction
    SPACE.1.100000.graph      the graph over the first 100,000 rows of generation 1 (a cache)
    maintenance.lock          held by the one process that compacts or builds the graph

Which row is which image stands in the catalogue (`RowTable`). A batch is appended and synced, and
then the catalogue's transaction makes it part of the gallery: bytes behind the rows that the
catalogue knows are nobody's, and the next batch is written over them. Readers map the file and take
no lock.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote
from uuid import UUID
from zlib import crc32

import filelock
import numpy as np
from numpy.typing import NDArray

from glocal.errors import GalleryDamagedError
from glocal.gallery.conditions import Condition, meets
from glocal.gallery.records import Match, Record, StoreStatus
from glocal.gallery.rows import BLOCK, Extent, RowTable, View
from glocal.gallery.stores import scan
from glocal.gallery.stores.files import explained, sync, sync_folder, write_at
from glocal.gallery.stores.graph import Graph, GraphFile

GRAPH_FROM = 20_000
"""Rows from which a graph pays: below, comparing all of them takes two milliseconds."""

GRAPH_BEHIND = 5_000
"""Rows behind the graph, half a millisecond of comparing, from which it is extended."""

GRAPH_SHARE = 0.02
"""It is extended by this share at least, since its whole file is written again each time."""

DEAD_SHARE = 0.25
"""Dead rows from which compaction pays, when they are `GRAPH_FROM` too."""

_WALK = 60
"""Rows compared in the time in which a walk of the graph finds one more candidate."""

_LOADING = 1_000_000
"""Rows compared in the time in which the graph's library is loaded: so many are compared first."""

_COPY = 4096
Vectors = NDArray[np.float16]
_log = logging.getLogger(__name__)


class _ReplacedError(Exception):
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


class FlatStore:
    """Vectors in a folder of this machine; see `Store` and `Maintained`.

    Args:
        folder: where the files lie; made with the first vector.
        dim: length of the vectors.
        rows: the table of them, in the catalogue.
    """

    def __init__(self, folder: Path, dim: int, rows: RowTable) -> None:
        self.folder = folder
        self.rows = rows
        self.stem = quote(rows.space, safe="").replace(".", "%2E")
        self._dim = dim
        self._width = 2 * dim
        self._lock = threading.Lock()  # held while files are mapped
        self._mapping: tuple[int, Vectors] | None = None
        self._compared = 0  # rows, while there was a graph perhaps that was not loaded
        self._walking: tuple[GraphFile, Graph | None] | None = None
        self._builder: subprocess.Popen[bytes] | None = None
        self._build_error: str | None = None

    def file(self, generation: int) -> Path:
        """The file of a generation."""
        return self.folder / f"{self.stem}{f'.{generation}' if generation > 1 else ''}.f16"

    def close(self) -> None:
        """See `Store.close`; a graph that is being built is given up."""
        with self._lock:
            self._mapping = self._walking = None
            if self._builder is not None:
                self._builder.kill()
                self._builder.communicate()
                self._builder = None

    # Changing

    def upsert(self, records: Sequence[Record]) -> None:
        """See `Store.upsert`."""
        if not records:
            return
        ids = [record.id for record in records]
        vectors = np.stack([record.vector for record in records]).astype("<f2")
        with self.rows.database.change():
            self.rows.remove(ids)
            extent = self.rows.extent()
            if not self.folder.exists():
                self.folder.mkdir(parents=True)
                sync_folder(self.folder.parent)
            path = self.file(extent.generation)
            self._available(extent)
            write_at(path, extent.rows * self._width, vectors.tobytes())
            self.rows.append(ids, [record.attributes for record in records], vectors)

    def set_folders(self, folders: Mapping[UUID, tuple[int, ...]]) -> None:
        """See `Store.set_folders`."""
        self.rows.set_folders(folders)

    def delete(self, ids: Sequence[UUID]) -> None:
        """See `Store.delete`."""
        self.rows.remove(ids)

    # Reading

    def search(
        self,
        vector: NDArray[np.float32],
        limit: int,
        *,
        where: Condition | None = None,
        exact: bool = False,
    ) -> list[Match]:
        """See `Store.search`; the graph is walked where that costs less than comparing."""
        view, vectors, allowed = self._mapped(where)
        rows = None if exact else self._walk(vector, limit, view.extent, vectors, allowed)
        if rows is None:
            rows, _ = scan.best(vector, vectors, np.flatnonzero(allowed), limit)
        rows, scores = scan.ranked(vector, vectors, rows, limit)
        return [
            Match(view.id(row), score)
            for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
        ]

    def _walk(
        self,
        vector: NDArray[np.float32],
        limit: int,
        extent: Extent,
        vectors: Vectors,
        allowed: NDArray[np.bool_],
    ) -> NDArray[np.int64] | None:
        """Candidates by the graph, and by comparing what lies behind it.

        `None` where comparing all allowed rows costs less, or too few of those found are allowed.
        """
        count = int(np.count_nonzero(allowed))
        ask = 16 + int(1.5 * limit * len(allowed) / max(count, 1))
        if _WALK * ask >= count:
            return None
        if self._walking is None and self._compared + count < _LOADING:
            self._compared += count
            return None
        graph = self._graph(extent)
        if graph is None:
            return None
        found = graph.search(vector, ask)
        found = found[found < len(allowed)]
        found = found[allowed[found]]
        if len(found) < limit:
            return None
        behind = graph.rows + np.flatnonzero(allowed[graph.rows :])
        return np.concatenate([found, scan.best(vector, vectors, behind, limit)[0]])

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, NDArray[np.float32]]:
        """See `Store.vectors`."""
        while True:
            extent, rows = self.rows.find(ids)
            with suppress(_ReplacedError):
                vectors = self._map(extent)
                return {i: vectors[row].astype(np.float32) for i, row in rows.items()}

    def scan(self) -> Iterator[tuple[UUID, tuple[int, ...]]]:
        """See `Store.scan`."""
        view, columns = self.rows.described()
        for row in np.flatnonzero(view.live).tolist():
            yield view.id(row), columns.folder_sets[int(columns.folders[row])]

    def status(self) -> StoreStatus:
        """See `Store.status`."""
        view = self.rows.view()
        graph = GraphFile.known(self.rows.database, self.rows.space)
        covered = 0
        if graph and graph.generation == view.extent.generation and graph.is_sound(self.folder):
            covered = int(np.count_nonzero(view.live[: graph.rows]))
        return StoreStatus(
            view.extent.rows - view.extent.dead, covered, self._building(), self._build_error
        )

    def mapped(self) -> tuple[View, Vectors]:
        """What is committed now: the rows, and the ``(rows, d)`` vectors.

        Raises:
            GalleryDamagedError: the file has fewer rows than were written.
        """
        view, vectors, _ = self._mapped(None)
        return view, vectors

    def _mapped(self, where: Condition | None) -> tuple[View, Vectors, NDArray[np.bool_]]:
        """Also which rows are live and meet a condition."""
        while True:
            if where is None:
                view = self.rows.view()
                allowed = view.live
            else:
                view, columns = self.rows.described()
                allowed = view.live & meets(where, columns)
            with suppress(_ReplacedError):
                return view, self._map(view.extent), allowed

    def _map(self, extent: Extent) -> Vectors:
        with self._lock:
            if self._mapping is not None:
                generation, vectors = self._mapping
                if generation == extent.generation and len(vectors) >= extent.rows:
                    return vectors[: extent.rows]
            self._available(extent)
            vectors = self._open(extent.generation, extent.rows)
            self._mapping = extent.generation, vectors
            return vectors

    def _open(self, generation: int, rows: int) -> Vectors:
        if not rows:
            return np.zeros((0, self._dim), "<f2")
        return np.memmap(self.file(generation), "<f2", "r", shape=(rows, self._dim))

    def _available(self, extent: Extent, *, tolerant: bool = False) -> int:
        """Rows of the known ones that the file has; an error where some are missing."""
        path = self.file(extent.generation)
        try:
            there = path.stat().st_size // self._width
        except FileNotFoundError as error:
            if self.rows.extent().generation != extent.generation:
                raise _ReplacedError from error
            there = 0
        if there < extent.rows and not tolerant:
            raise GalleryDamagedError(
                f"{path} holds {there} of {extent.rows} vectors; run: glocal check --repair"
            )
        return min(there, extent.rows)

    def _graph(self, extent: Extent) -> Graph | None:
        known = GraphFile.known(self.rows.database, self.rows.space)
        if known is None or known.generation != extent.generation:
            return None
        with self._lock:
            if self._walking is None or self._walking[0] != known:
                graph = None
                if known.is_sound(self.folder):
                    with suppress(RuntimeError):  # not a graph after all: compare all rows
                        graph = Graph(self.folder / known.name, self._dim, known.rows)
                self._walking = known, graph
            return self._walking[1]

    # Maintenance

    def maintain(self) -> bool:
        """See `Maintained.maintain`."""
        extent = self.rows.extent()
        if extent.dead >= max(GRAPH_FROM, DEAD_SHARE * extent.rows):
            self.rewrite()
            extent = self.rows.extent()
        if extent.rows < GRAPH_FROM or self._building():
            return self._building()
        known = GraphFile.known(self.rows.database, self.rows.space)
        done = 0
        if known and known.generation == extent.generation and known.is_sound(self.folder):
            done = known.rows
        if extent.rows - done < max(GRAPH_BEHIND, GRAPH_SHARE * extent.rows):
            return False
        needed, free = extent.rows * (self._dim + 256), shutil.disk_usage(self.folder).free
        if needed > free:
            self._build_error = (
                f"no graph index is built: it needs {needed >> 20} MB of disk, "
                f"and {free >> 20} MB are left"
            )
            _log.warning("%s", self._build_error)
            return False
        _log.info("extending the graph index from %d to %d rows", done, extent.rows)
        program = [sys.executable, "-m", "glocal.gallery.stores.graph_builder"]
        arguments = [self.rows.database.path, self.folder, self.rows.space, self._dim]
        self._build_error = None
        self._builder = subprocess.Popen(
            [*program, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the parent, which then ends it
        )
        return True

    def _building(self) -> bool:
        with self._lock:
            if self._builder is None:
                return False
            if self._builder.poll() is None:
                return True
            said = self._builder.communicate()[1].decode("utf-8", "replace").strip()
            if self._builder.returncode > 0:
                self._build_error = said.rpartition("\n")[2] or "the builder failed"
                _log.warning("the graph index could not be built: %s", said)
            self._builder = None
            return False

    def damaged(self) -> list[UUID]:
        """See `Maintained.damaged`."""
        view = self.rows.view()
        there = self._available(view.extent, tolerant=True)
        vectors = self._open(view.extent.generation, there)
        wrong = np.ones(view.extent.rows, np.bool_)
        for number, checksum in self.rows.checksums():
            start, end = number * BLOCK, min((number + 1) * BLOCK, view.extent.rows)
            if end <= there and crc32(vectors[start:end].tobytes()) == checksum:
                wrong[start:end] = False
        graph = GraphFile.known(self.rows.database, self.rows.space)
        if graph and not graph.is_sound(self.folder, thoroughly=True):
            self._walking = None
            if not self.rows.database.read_only:
                with self.rows.database.change() as db:
                    db.execute("DELETE FROM graphs WHERE name = ?", (graph.name,))
        return [view.id(row) for row in np.flatnonzero(wrong & view.live).tolist()]

    def rewrite(self) -> None:
        """See `Maintained.rewrite`; writers wait only for the end of it."""
        with maintenance_lock(self.folder) as free:
            if not free:
                return
            view = self.rows.view()
            kept = np.flatnonzero(view.live)
            new = self.file(view.extent.generation + 1)
            partial = new.with_name(f"{new.name}.partial")
            with explained(new), partial.open("wb", buffering=0) as file:
                self._copy(kept, view.extent, file)
                with self.rows.database.change():
                    now = self.rows.view()
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
        for start in range(0, len(rows), _COPY):
            file.write(np.take(vectors, rows[start : start + _COPY], axis=0).tobytes())

    def sweep(self) -> None:
        """Delete what nobody needs any more: older generations, and what a killed process left.

        Nothing goes while the file in use is shorter than it should be: an older one may have more.
        """
        if not self._unused():
            return
        with maintenance_lock(self.folder) as free:
            extent = self.rows.extent()
            if not free or self._available(extent, tolerant=True) < extent.rows:
                return
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
