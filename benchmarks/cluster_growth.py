"""What a growing collection costs a Milvus server, and what follows for far larger ones.

    python benchmarks/cluster_growth.py 10000 100000 [--work DIR] [--clients 4] [--seconds 10]
    python benchmarks/cluster_growth.py 100000 --segment-mb 8192
    python benchmarks/cluster_growth.py --model

Each size fills a collection of a new server (PyPI's package ``milvus``, in the work folder) with
made vectors (``synthetic.py``) through glocal's own store, and measures: writing, the build of the
index, searches one after the other and by several clients at a time, recall@10 against an exact
comparison here, and of the server the memory, the disk and the processor's time of each phase. The
processor's time is what counts on a machine that others use. With ``--segment-mb`` segments may
become so large before the server closes them, and the results are kept apart. Results of several
runs add up in ``results/cluster_growth.json``; ``--model`` reads them and prints what
`docs/scale.md` says of 100 million and a billion images.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import numpy as np

from cluster_model import print_model
from cluster_same import disk, served
from glocal.cluster.config import ClusterConfig
from glocal.cluster.server import Server
from glocal.cluster.store import MilvusStore
from glocal.gallery.records import Attributes, Record
from measure import RESULTS, arguments, print_table, write_results
from synthetic import DIM, Space

QUERIES = 200
STEP = 2_000  # vectors drawn and written at once
NAME = "cluster_growth"


class Remembered:
    """The last write of this process; see `LastWrite`."""

    timestamp = 0

    def get(self) -> int:
        return self.timestamp

    def set(self, timestamp: int) -> None:
        self.timestamp = max(timestamp, self.timestamp)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("counts", nargs="*", type=int)
    parser.add_argument("--model", action="store_true")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--segment-mb", type=int)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.counts, options.seconds = options.counts or [2_000], 2.0
    large = options.segment_mb
    settings = {"dataCoord.segment.maxSize": large} if large else {}
    kept = {"growth": [], "large_segments": []} if options.quick else _measured()
    rows = kept["large_segments" if large else "growth"]
    for count in options.counts:
        with (
            TemporaryDirectory(dir=options.work) as folder,
            served(None, Path(folder), settings) as on,
        ):
            uri, pid = on
            assert pid is not None
            row = grow(uri, count, pid, Path(folder), options.clients, options.seconds)
        if large:
            row["segment_mb"] = large
        rows[:] = sorted([*(r for r in rows if r["count"] != count), row], key=lambda r: r["count"])
        write_results(NAME, kept, quick=options.quick)  # a long run may be cut short
    if options.counts:
        print_table("made vectors", list(rows[0]), [list(row.values()) for row in rows])
    if options.model:
        print_model(kept["growth"])


def _measured() -> dict[str, list[dict[str, Any]]]:
    path = RESULTS / f"{NAME}.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    return {each: list(found.get(each, [])) for each in ("growth", "large_segments")}


def grow(
    uri: str, count: int, pid: int, work: Path, clients: int, seconds: float
) -> dict[str, Any]:
    empty, empty_disk = resident(pid), disk(work / "milvus")
    server = Server(ClusterConfig(uri, timeout=600))
    store = MilvusStore(server, f"growth_{count}", DIM, Remembered())
    space = Space(count)
    kept = np.empty((count, DIM), np.float32)
    began, used, mine = time.perf_counter(), processor(pid), time.process_time()
    drawing = 0.0
    for start in range(0, count, STEP):
        drew = time.process_time()
        some = space.draw(min(STEP, count - start), seed=start)
        kept[start : start + len(some)] = some
        drawing += time.process_time() - drew
        store.upsert([record(start + n, vector) for n, vector in enumerate(some)])
    written = time.perf_counter() - began
    writing = processor(pid) - used
    client = time.process_time() - mine - drawing
    began = time.perf_counter()
    server.call("flush", store.collection)
    while store.status().in_graph < count:
        time.sleep(1)
    built = time.perf_counter() - began
    settle(pid)
    building = processor(pid) - used - writing
    row = {
        "count": count,
        "write_s": round(written, 1),
        "write_client_cpu_s": round(client, 1),
        "write_server_cpu_s": round(writing, 1),
        "index_s": round(built, 1),
        "index_server_cpu_s": round(building, 1),
        "peak_MB": peak(pid) // 2**20,
        "server_MB": resident(pid) // 2**20,
        "empty_MB": empty // 2**20,
        "disk_MB": (disk(work / "milvus") - empty_disk) // 2**20,
    }
    row |= one_by_one(store, space, kept)
    row |= together(uri, count, space, pid, clients, seconds)
    store.close()
    return row


def one_by_one(store: MilvusStore, space: Space, kept: np.ndarray) -> dict[str, Any]:
    """Searches one after the other, compared with an exact one."""
    times: dict[bool, list[float]] = {False: [], True: []}
    found: dict[bool, list[float]] = {False: [], True: []}
    for vector in space.queries(QUERIES):
        scores = kept @ vector
        nearest = {UUID(int=int(n) + 1) for n in np.argpartition(-scores, 10)[:10]}
        for exact in (False, True):
            if exact and len(times[True]) >= QUERIES // 10:
                continue
            began = time.perf_counter()
            matches = store.search(vector, 10, exact=exact)
            times[exact].append(time.perf_counter() - began)
            found[exact].append(len({m.id for m in matches} & nearest) / 10)
    return {
        "graph_ms": round(1000 * median(times[False]), 1),
        "graph_recall": round(float(np.mean(found[False])), 4),
        "exact_ms": round(1000 * median(times[True]), 1),
        "exact_recall": round(float(np.mean(found[True])), 4),
    }


def together(
    uri: str, count: int, space: Space, pid: int, clients: int, seconds: float
) -> dict[str, Any]:
    """Searches by several clients at a time, each with a connection of its own."""
    vectors = space.queries(QUERIES)
    stores = [
        MilvusStore(Server(ClusterConfig(uri, timeout=600)), f"growth_{count}", DIM, Remembered())
        for _ in range(clients)
    ]
    for store in stores:
        store.search(vectors[0], 10)
    done = [0] * clients
    used, began = processor(pid), time.perf_counter()

    def search(which: int) -> None:
        while time.perf_counter() - began < seconds:
            stores[which].search(vectors[done[which] % QUERIES], 10)
            done[which] += 1

    threads = [threading.Thread(target=search, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, spent = time.perf_counter() - began, processor(pid) - used
    for store in stores:
        store.close()
    return {
        "searches_per_s": round(sum(done) / took, 1),
        "search_server_cpu_ms": round(1000 * spent / sum(done), 2),
    }


def record(number: int, vector: np.ndarray) -> Record:
    return Record(UUID(int=number + 1), vector, Attributes((1, 2 + number % 500), 640, 480, 90_000))


def settle(pid: int) -> None:
    """Wait until the server has loaded and compacted what it will: at most two minutes."""
    quiet = 0
    for _ in range(60):
        before = processor(pid)
        time.sleep(2)
        quiet = quiet + 1 if processor(pid) - before < 0.3 else 0
        if quiet >= 4:
            return


def processor(pid: int) -> float:
    """Seconds of the processor that a process has used, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    return _status(pid, "VmRSS")


def peak(pid: int) -> int:
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
