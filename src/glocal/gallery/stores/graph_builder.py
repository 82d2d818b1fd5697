"""Build or extend a graph of a gallery, then exit: ``CATALOG FOLDER SPACE DIM REGIONS``.

Run by `Upkeep` as a process of its own, at low priority, which may be killed at any moment:
until the catalogue names the new file, it is nobody's.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing, suppress
from pathlib import Path

import numpy as np

from glocal.gallery.ahead import worker_count
from glocal.gallery.database import Database, engine_at, upsert
from glocal.gallery.rows import SCHEMA, RowTable
from glocal.gallery.stores.files import explained, sync, sync_folder
from glocal.gallery.stores.flat import FlatStore
from glocal.gallery.stores.graph import GraphFile, checksum, new_index
from glocal.gallery.stores.regions import RegionStore
from glocal.gallery.stores.row_file import maintenance_lock

_SLICE = 5_000  # rows in memory at once


def extend(store: FlatStore | RegionStore, dim: int) -> None:
    """Write a graph over all rows, beginning with the one that is there if it is sound."""
    view, _ = store.mapped()
    extent, database, space = view.extent, store.rows.database, store.rows.space
    index, done = new_index(dim, regions=isinstance(store, RegionStore)), 0
    base = GraphFile.known(database, space)
    if base and base.generation == extent.generation and base.is_sound(store.folder):
        index.load(str(store.folder / base.name))
        done = base.rows
    rows = done + np.flatnonzero(view.live[done:])
    for start in range(0, len(rows), _SLICE):
        keys, vectors = store.points(rows[start : start + _SLICE])
        index.add(keys, vectors, threads=worker_count())
    name = f"{store.stem}.{extent.generation}.{extent.rows}.graph"
    path, partial = store.folder / name, store.folder / f"{name}.partial"
    with explained(path):
        index.save(str(partial))
        with partial.open("r+b") as file:
            sync(file.fileno())
        partial.replace(path)
        sync_folder(store.folder)
    found = path.stat()
    graph = extent.generation, extent.rows, name, found.st_size, found.st_mtime_ns, checksum(path)
    with database.change() as db:
        db.execute(
            upsert("graphs", "space", "generation, rows, name, bytes, modified, checksum"),
            (space, *graph),
        )
    if base and base.name != name:
        with suppress(OSError):  # mapped by another process, which Windows minds
            (store.folder / base.name).unlink(missing_ok=True)


def main() -> None:
    """Extend the graph, unless another process is doing so."""
    catalog, folder, space = engine_at(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    dim, regions = int(sys.argv[4]), int(sys.argv[5])
    if hasattr(os, "nice"):
        os.nice(10)  # searches and index runs come first
    with closing(Database(catalog, SCHEMA)) as database:
        rows = RowTable(database, space)
        store: FlatStore | RegionStore = FlatStore(folder, dim, rows)
        if regions:
            store = RegionStore(folder, dim, regions, rows)
        with maintenance_lock(folder) as free:
            if free:
                extend(store, dim)


if __name__ == "__main__":
    main()
