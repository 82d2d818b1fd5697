"""What a graph build does to searches: in this process, and beside it as glocal does.

    python benchmarks/graph_build.py --count 100000

Qdrant Edge's `optimize` blocks, and keeps Python's global lock while it runs, so no other thread of
the process can answer a search. glocal copies the shard and builds in another process. Printed for
both: seconds of the build, searches that another thread got answered meanwhile, and the longest it
waited. Also: what indexes on payload fields cost when they shape the graph (`enable_hnsw`).
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray

from glocal.gallery.records import Attributes, Record
from glocal.gallery.stores import edge_filter
from glocal.gallery.stores.edge import EdgeStore

DIM = 256


def vectors(count: int) -> NDArray[np.float32]:
    """Clustered unit vectors in a space of about 30 dimensions, as features of images are."""
    random = np.random.default_rng(0)
    basis = random.normal(size=(30, DIM))
    centres = random.normal(size=(max(10, count // 50), 30))
    low = centres[random.integers(0, len(centres), count)] + 0.4 * random.normal(size=(count, 30))
    full = low @ basis + 0.1 * random.normal(size=(count, DIM))
    return (full / np.linalg.norm(full, axis=1, keepdims=True)).astype(np.float32)


def fill(folder: Path, found: NDArray[np.float32]) -> EdgeStore:
    """A store with these vectors and plausible attributes."""
    store = EdgeStore(folder, DIM)
    for start in range(0, len(found), 256):
        store.upsert(
            [
                Record(
                    UUID(int=i),
                    found[i],
                    Attributes((1, 2, i % 500), 4000, 3000, 2_000_000 + i, i, f"Camera {i % 9}"),
                )
                for i in range(start, min(start + 256, len(found)))
            ]
        )
    store.flush()
    return store


def watched(search: Callable[[], object], build: Callable[[], object]) -> tuple[float, int, float]:
    """Seconds of a build, searches answered meanwhile, and the longest wait for one in seconds."""
    done = threading.Event()
    times = [time.perf_counter()]

    def ask() -> None:
        while not done.is_set():
            search()
            times.append(time.perf_counter())
            time.sleep(0.005)

    asking = threading.Thread(target=ask)
    asking.start()
    started = time.perf_counter()
    build()
    seconds = time.perf_counter() - started
    done.set()
    asking.join()
    return seconds, len(times) - 1, float(np.max(np.diff(times)))


def in_process(folder: Path, found: NDArray[np.float32]) -> tuple[float, int, float]:
    """Qdrant Edge's own way."""
    fill(folder, found).close()
    shard = edge.EdgeShard.load(str(folder / "shard-000001"))
    request = edge.QueryRequest(limit=10, query=edge.Query.Nearest(found[0].tolist()))
    figures = watched(lambda: shard.query(request), shard.optimize)
    shard.close()
    return figures


def beside(folder: Path, found: NDArray[np.float32]) -> tuple[float, int, float]:
    """glocal's way."""
    store = fill(folder, found)

    def build() -> None:
        store.build_graph()
        while store.status().building:
            time.sleep(0.02)

    figures = watched(lambda: store.search(found[0], 10), build)
    store.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000)
    count = parser.parse_args().count
    found = vectors(count)
    ways: list[tuple[str, Callable[[Path, NDArray[np.float32]], tuple[float, int, float]]]] = [
        ("in this process", in_process),
        ("beside it (glocal)", beside),
    ]
    plain = dict(edge_filter.INDEXES)
    shaping = {
        "f": lambda: edge.IntegerIndexParams(lookup=True, range=False),
        "t": lambda: edge.IntegerIndexParams(lookup=False, range=True),
        "c": edge.KeywordIndexParams,
        "g": edge.GeoIndexParams,
    }
    print(f"{count:,} vectors of {DIM} dimensions\n")
    print("| graph build | seconds | searches answered | longest wait (s) |")
    print("| --- | ---: | ---: | ---: |")
    for name, way in ways:
        folder = Path(tempfile.mkdtemp())
        seconds, answered, wait = way(folder, found)
        print(f"| {name} | {seconds:.1f} | {answered} | {wait:.3f} |", flush=True)
        shutil.rmtree(folder)
    edge_filter.INDEXES.update(shaping)
    folder = Path(tempfile.mkdtemp())
    seconds, answered, wait = in_process(folder, found)
    print(f"| in this process, fields shape the graph | {seconds:.1f} | {answered} | {wait:.3f} |")
    shutil.rmtree(folder)
    edge_filter.INDEXES.update(plain)


if __name__ == "__main__":
    main()
