"""Build or extend a graph of a gallery, then exit: ``CATALOG FOLDER SPACE DIM REGIONS KIND``.

Run by `Upkeep` as a process of its own, at low priority, which may be killed at any moment:
until the catalogue names the new file, it is nobody's.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.ahead import worker_count
from glocal.gallery.catalogue_place import staying
from glocal.gallery.database import Database, engine_at, upsert
from glocal.gallery.rows import SCHEMA, RowTable
from glocal.gallery.stores.coding import BYTES, HALVES, led_by_signs
from glocal.gallery.stores.files import explained, sync, sync_folder
from glocal.gallery.stores.flat import FlatStore
from glocal.gallery.stores.graph import (
    EXPANSION,
    SIGNS_ENDING,
    GraphFile,
    GraphKind,
    checksum,
    expansion_of,
    kind_of,
    new_index,
)
from glocal.gallery.stores.regions import RegionStore
from glocal.gallery.stores.row_file import maintenance_lock

if TYPE_CHECKING:
    from usearch.index import Index

_SLICE = 5_000  # rows in memory at once
_TRIED = 100  # vectors with which signs are tried
_LED = 0.99  # of their nearest, to which signs have to lead
_ROUNDS = 3  # of adding again what is not found
_LOOKED = 20_000  # rows of before that are looked for again, in some seconds
_LOOK_S = 1.0  # how often it is seen to that the folder is still there


def extend(store: FlatStore | RegionStore, dim: int) -> None:
    """Write a graph over all rows, beginning with the one that is there if it is sound."""
    view, _ = store.mapped()
    extent, database, space = view.extent, store.rows.database, store.rows.space
    base = GraphFile.known(database, space)
    sound = base and base.generation == extent.generation and base.is_sound(store.folder)
    kind = kind_of(base, store.graph_kind) if base and sound else _kind(store, view.live)
    index = new_index(dim, kind, regions=isinstance(store, RegionStore))
    done = 0
    if base and sound:
        index.load(str(store.folder / base.name))
        done = base.rows
    rows = done + np.flatnonzero(view.live[done:])
    for start in range(0, len(rows), _SLICE):
        keys, vectors = store.points(rows[start : start + _SLICE], kind)
        index.add(keys, vectors, threads=worker_count())
    hidden = np.zeros(0, np.int64)
    if isinstance(store, FlatStore):
        older = np.flatnonzero(view.live[:done])
        drawn = np.random.default_rng(extent.rows).permutation(older)[: max(len(rows), _LOOKED)]
        before = base.hidden(database, space) if base and sound else hidden
        asked = np.unique(np.concatenate([rows, drawn, before[view.live[before]]]))
        hidden = find_again(store, index, asked, kind)
    ending = SIGNS_ENDING if kind == "signs" else "graph"
    name = f"{store.stem}.{extent.generation}.{extent.rows}.{ending}"
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
        db.execute(upsert("hidden", "space", "name, rows"), (space, name, hidden.tobytes()))
    if base and base.name != name:
        with suppress(OSError):  # mapped by another process, which Windows minds
            (store.folder / base.name).unlink(missing_ok=True)


def find_again(
    store: FlatStore, index: Index, rows: NDArray[np.int64], kind: GraphKind
) -> NDArray[np.int64]:
    """Look for rows by their own vectors, and add those anew that a walk does not find.

    A point keeps its links to others, but others drop theirs to it as nearer ones come: a few in
    ten thousand are left with none that leads to them. What a narrow walk does not find is looked
    for as a search would: of a million, a narrow walk misses one in eighty.

    Args:
        store: of the rows.
        index: what was built over them.
        rows: which; ``(n,)`` ascending.
        kind: what the index holds.

    Returns:
        those that are not found all the same, ``(m,)`` int64 ascending.
    """
    for times in range(_ROUNDS + 1):
        for expansion in (EXPANSION, expansion_of(kind, len(index))):
            lost = []
            for start in range(0, len(rows), _SLICE):
                keys, points = store.points(rows[start : start + _SLICE], kind)
                found = index.search(points, expansion, threads=worker_count()).keys
                lost.append(keys[~(found.reshape(len(keys), -1) == keys[:, None]).any(axis=1)])
            rows = np.concatenate([np.zeros(0, np.int64), *lost])
        if not len(rows) or times == _ROUNDS:
            break
        keys, points = store.points(rows, kind)
        index.remove(keys)
        index.add(keys, points, threads=1)
    return rows


def _kind(store: FlatStore | RegionStore, live: NDArray[np.bool_]) -> GraphKind:
    """What a new graph is to hold: signs only where they lead."""
    if store.graph_kind != "signs":
        return store.graph_kind
    rows = np.flatnonzero(live)
    some = store.points(rows[:: max(len(rows) // _TRIED, 1)][:_TRIED], "bytes")[1]

    def pieces() -> Iterator[NDArray[np.int8]]:
        for start in range(0, len(rows), _SLICE):
            yield store.points(rows[start : start + _SLICE], "bytes")[1]

    few = some[:: max(len(some) // _TRIED, 1)][:_TRIED]  # rows of regions have several
    led = led_by_signs(few, pieces, expansion_of("signs", len(rows)))
    return "signs" if led >= _LED else "bytes"


def _end_without(folder: Path) -> None:
    """End this process once the folder was removed or moved: nobody would have the graph."""
    began = folder.stat().st_ino

    def look() -> None:
        while True:
            time.sleep(_LOOK_S)
            try:
                there = folder.stat().st_ino == began
            except OSError:
                there = False
            if not there:
                os._exit(1)

    threading.Thread(target=look, daemon=True).start()


def main() -> None:
    """Extend the graph, unless another process is doing so."""
    catalog, folder, space = engine_at(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    dim, regions, kind = int(sys.argv[4]), int(sys.argv[5]), cast("GraphKind", sys.argv[6])
    if hasattr(os, "nice"):
        os.nice(10)  # searches and index runs come first
    _end_without(folder)
    there = (folder.parent / "gallery.json").exists()
    check = staying(folder.parent, catalog.name) if there else None
    with closing(Database(catalog, SCHEMA, check=check)) as database:
        rows = RowTable(database, space)
        store: FlatStore | RegionStore
        if regions:
            store = RegionStore(folder, dim, regions, rows, kind)
        else:
            store = FlatStore(folder, dim, rows, HALVES if kind == "floats" else BYTES)
        with maintenance_lock(folder) as free:
            if free:
                extend(store, dim)


if __name__ == "__main__":
    main()
