"""The embedded store: Qdrant Edge, the engine of the Qdrant server inside this process.

Folder layout, owned by this module::

    current          the name of the shard in use, replaced atomically
    shard-000001/    the shard: write-ahead log and segments
    shard-000002/    while a graph is built: the next one; it is nobody's until `current` names it

Qdrant Edge builds its HNSW graph inside one blocking call that keeps Python's global lock for
minutes, and its directory may be open once only. So the graph is built by another process in a copy
of the shard, while this one goes on answering and writing; what changed meanwhile is written to the
copy before it takes over (`Graph build` below). A build that dies leaves nothing but a folder that
the next opening sweeps away.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray

from glocal.errors import GalleryDamagedError
from glocal.gallery.conditions import Condition
from glocal.gallery.records import Match, Record, StoreStatus
from glocal.gallery.stores import edge_filter
from glocal.gallery.stores.files import copy_tree, disk_bytes, replace_text

GRAPH_FROM = 20_000
"""Vectors outside the graph from which a build pays: below, an exact scan is as fast."""

GRAPH_SHARE = 0.1
"""A build also waits until this share of all vectors is new, so that its cost stays linear."""

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger(__name__)
_CURRENT = "current"
_SCAN_PAGE = 10_000
_HNSW_EF = 128
_WITH_VECTOR = edge.Filter(must=[edge.HasVectorCondition("")])


def _config(dim: int) -> edge.EdgeConfig:
    bytes_per_vector = 2 * dim
    return edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(
            size=dim, distance=edge.Distance.Dot, datatype=edge.VectorStorageDatatype.Float16
        ),
        hnsw_config=edge.HnswIndexConfig(m=16, ef_construct=128, full_scan_threshold=2_000),
        optimizers=edge.EdgeOptimizersConfig(
            default_segment_number=1, indexing_threshold=GRAPH_FROM * bytes_per_vector // 1024
        ),
        wal_enabled=True,
    )


class EdgeStore:
    """Vectors in a folder of this machine, for one process at a time (see `SharedStore`).

    Args:
        folder: where the shards lie; made when it is not there.
        dim: length of the vectors, fixed when the folder is made.

    Raises:
        GalleryDamagedError: what is in the folder cannot be opened.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self._folder = folder
        self._dim = dim
        self._changing = threading.RLock()  # held by whatever changes the shard or swaps it
        self._changed: set[UUID] | None = None  # since a build copied the shard
        self._build: subprocess.Popen[bytes] | None = None
        self._build_ends: threading.Thread | None = None
        self._build_error: str | None = None
        folder.mkdir(parents=True, exist_ok=True)
        name = self._current_name()
        if name is None:
            name = "shard-000001"
            shutil.rmtree(folder / name, ignore_errors=True)  # a creation that was cut short
            (folder / name).mkdir()
            self._shard = _guarded(edge.EdgeShard.create, str(folder / name), _config(dim))
            for field, schema in edge_filter.INDEXES.items():
                self._shard.update(edge.UpdateOperation.create_field_index(field, schema()))
            self._shard.flush()
            replace_text(folder / _CURRENT, name)
        else:
            self._shard = _guarded(edge.EdgeShard.load, str(folder / name))
        self._name = name
        for left_over in folder.glob("shard-*"):
            if left_over.name != name:
                shutil.rmtree(left_over, ignore_errors=True)

    def _current_name(self) -> str | None:
        try:
            name = (self._folder / _CURRENT).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise _damaged(error) from error
        if not name.startswith("shard-") or not (self._folder / name).is_dir():
            raise _damaged(f"{self._folder / _CURRENT} names {name!r}, which is not there")
        return name

    # Records

    def upsert(self, records: Sequence[Record]) -> None:
        """See `Store.upsert`."""
        points = [
            edge.Point(r.id, r.vector.tolist(), edge_filter.payload(r.attributes)) for r in records
        ]
        if points:
            self._update(edge.UpdateOperation.upsert_points(points), [r.id for r in records])

    def set_folders(self, folders: Mapping[UUID, tuple[int, ...]]) -> None:
        """See `Store.set_folders`."""
        with self._changing:
            alike: dict[tuple[int, ...], list[UUID]] = {}
            for i in self._retrieve(folders, vectors=False, payload=False):
                alike.setdefault(folders[i], []).append(i)
            for numbers, ids in alike.items():
                new = edge_filter.folders_payload(numbers)
                self._update(edge.UpdateOperation.set_payload([*ids], new), ids)

    def delete(self, ids: Sequence[UUID]) -> None:
        """See `Store.delete`."""
        if ids:
            self._update(edge.UpdateOperation.delete_points([*ids]), ids)

    def _update(self, operation: edge.UpdateOperation, ids: Sequence[UUID]) -> None:
        with self._changing:
            _guarded(self._shard.update, operation)
            if self._changed is not None:
                self._changed.update(ids)

    def search(
        self,
        vector: NDArray[np.float32],
        limit: int,
        *,
        where: Condition | None = None,
        exact: bool = False,
    ) -> list[Match]:
        """See `Store.search`."""
        # The graph was not built for conditions: walking it, a narrow one loses most of its answers
        # (0.02 of ten for one year of 100,000 images). Their indexes make an exact search quick.
        exact = exact or where is not None
        request = edge.QueryRequest(
            limit=limit,
            query=edge.Query.Nearest(vector.tolist()),
            filter=None if where is None else edge_filter.to_filter(where),
            params=edge.SearchParams(hnsw_ef=max(_HNSW_EF, limit), exact=exact),
        )
        shard = self._shard  # a swap may come between; the old shard lives until we let go of it
        return [Match(_id(p), float(p.score)) for p in _guarded(shard.query, request)]

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, NDArray[np.float32]]:
        """See `Store.vectors`."""
        found = self._retrieve(ids, vectors=True, payload=False)
        return {
            i: np.asarray(p.vector, dtype=np.float32)
            for i, p in found.items()
            if isinstance(p.vector, list)  # a damaged file may have lost it
        }

    def _retrieve(
        self, ids: Iterable[UUID], *, vectors: bool, payload: bool
    ) -> dict[UUID, edge.Record]:
        found = _guarded(self._shard.retrieve, [*ids], with_payload=payload, with_vector=vectors)
        return {_id(point): point for point in found}

    def scan(self) -> Iterator[tuple[UUID, tuple[int, ...]]]:
        """See `Store.scan`."""
        offset = None
        while True:
            request = edge.ScrollRequest(
                offset=offset,
                limit=_SCAN_PAGE,
                filter=_WITH_VECTOR,
                with_payload=True,
                with_vector=False,
            )
            page, offset = _guarded(self._shard.scroll, request)
            for point in page:
                yield _id(point), edge_filter.folders_of(point.payload or {})
            if offset is None:
                return

    def status(self) -> StoreStatus:
        """See `Store.status`."""
        info = _guarded(self._shard.info)
        # While segments are merged a vector can be counted twice; it is there once.
        in_graph = min(info.indexed_vectors_count, info.points_count)
        return StoreStatus(
            info.points_count, in_graph, self._build_ends is not None, self._build_error
        )

    # Graph build

    def build_graph(self) -> bool:
        """See `Store.build_graph`."""
        with self._changing:
            if self._build_ends is not None:
                return True
            status = self.status()
            if status.vectors - status.in_graph < max(GRAPH_FROM, GRAPH_SHARE * status.vectors):
                return False
            self._shard.flush()
            # The token: a builder whose parent was killed may still be writing to its own copy.
            number = int(self._name.split("-")[1]) + 1
            copy = self._folder / f"shard-{number:06d}-{secrets.token_hex(4)}"
            try:
                self._build = self._start_builder(copy)
            except OSError as error:
                shutil.rmtree(copy, ignore_errors=True)
                self._build_error = f"no graph index could be built: {error}"
                _log.warning("%s", self._build_error)
                return False
            self._changed = set()
            self._build_error = None
            self._build_ends = threading.Thread(
                target=self._finish_build, args=(self._build, copy), daemon=True
            )
            self._build_ends.start()
            _log.info("building the graph index over %d vectors in %s", status.vectors, copy.name)
            return True

    def _start_builder(self, copy: Path) -> subprocess.Popen[bytes]:
        source = self._folder / self._name
        needed = 3 * disk_bytes(source)  # the copy, and the new segments beside the old
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise OSError(f"it needs {needed // 2**20} MB, and {free // 2**20} MB are left")
        copy_tree(source, copy)
        return subprocess.Popen(
            [sys.executable, "-m", "glocal.gallery.stores.edge_build", str(copy)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the parent, which then ends it
        )

    def _finish_build(self, build: subprocess.Popen[bytes], copy: Path) -> None:
        """Wait for the builder, then let its shard take over; runs in a thread of its own."""
        said = build.communicate()[1].decode("utf-8", "replace").strip()
        with self._changing:
            try:
                if build.returncode == 0:
                    self._take_over(copy)
                elif build.returncode > 0:
                    self._build_error = said.rpartition("\n")[2] or f"status {build.returncode}"
            except (GalleryDamagedError, OSError) as error:
                self._build_error = str(error)
                _log.warning("the graph index could not be built: %s", error)
            finally:
                if self._name != copy.name:
                    shutil.rmtree(copy, ignore_errors=True)
                self._changed = self._build = self._build_ends = None

    def _take_over(self, copy: Path) -> None:
        new = _guarded(edge.EdgeShard.load, str(copy))
        ids = list(self._changed or ())
        for start in range(0, len(ids), _SCAN_PAGE):
            page = ids[start : start + _SCAN_PAGE]
            kept = self._retrieve(page, vectors=True, payload=True)
            points = [
                edge.Point(i, p.vector, p.payload)
                for i, p in kept.items()
                if isinstance(p.vector, list)
            ]
            gone = [i for i in page if i not in kept]
            if points:
                new.update(edge.UpdateOperation.upsert_points(points))
            if gone:
                new.update(edge.UpdateOperation.delete_points([*gone]))
        new.flush()
        old = self._folder / self._name
        replace_text(self._folder / _CURRENT, copy.name)
        self._shard, self._name = new, copy.name
        _log.info("%s took over with %d changes made meanwhile", copy.name, len(ids))
        shutil.rmtree(old, ignore_errors=True)  # what Windows still keeps open goes next time

    # Life

    def flush(self) -> None:
        """See `Store.flush`."""
        with self._changing:
            _guarded(self._shard.flush)

    def close(self) -> None:
        """See `Store.close`; a build that still runs is given up."""
        build, ends = self._build, self._build_ends
        if build is not None:
            build.kill()
        if ends is not None:
            ends.join()
        with self._changing:
            if self._name:
                self._shard.close()
                self._name = ""


def _id(point: edge.Record | edge.ScoredPoint) -> UUID:
    """The engine also knows ids that are numbers; glocal gives it none."""
    return point.id if isinstance(point.id, UUID) else UUID(str(point.id))


def _guarded(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Turn whatever the engine throws, its panics too, into an error of ours."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        raise _damaged(error) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # not an Exception, and in no module
            raise _damaged(error) from error
        raise


def _damaged(error: Any) -> GalleryDamagedError:
    return GalleryDamagedError(f"the vector store failed ({error}); run: glocal check --repair")


__all__ = ["GRAPH_FROM", "EdgeStore"]
