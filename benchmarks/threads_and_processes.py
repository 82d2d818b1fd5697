"""Searches a second by threads of one process and by processes: why a server has the latter.

    python benchmarks/threads_and_processes.py [--quick]

Queries are pieces of photos of the gallery, as in `serving_load`, searched with the defaults. The
clock is meant: other work on the machine makes the figures worse.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

from glocal import Gallery
from measure import arguments, print_table, write_results
from serving_load import images, pieces

_WAYS = ((1, 1), (1, 2), (1, 4), (2, 1), (2, 2))


def search(
    folder: Path,
    queries: list[bytes],
    threads: int,
    start: Barrier,
    told: multiprocessing.Queue[tuple[int, float, float]],
) -> None:
    """Search with each query, and tell their count, the seconds, and those of the processor."""
    with Gallery(folder, side_by_side=True) as gallery, ThreadPoolExecutor(threads) as pool:
        for query in queries[:3]:
            gallery.search(query, limit=20)
        start.wait()
        began, cpu = time.perf_counter(), time.process_time()
        list(pool.map(lambda query: gallery.search(query, limit=20), queries))
        told.put((len(queries), time.perf_counter() - began, time.process_time() - cpu))


def main() -> None:
    options = arguments(__doc__ or "").parse_args()
    rows = []
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        photos = images(60 if options.quick else 300, place / "made")
        with Gallery(place / "gallery") as gallery:
            gallery.add(*photos)
        count = 16 if options.quick else 80
        queries = pieces([path.read_bytes() for path in photos[: count // 2]], count)
        for processes, threads in _WAYS:
            start, told = context.Barrier(processes), context.Queue()
            parts = [queries[n::processes] for n in range(processes)]
            workers = [
                context.Process(target=search, args=(place / "gallery", part, threads, start, told))
                for part in parts
            ]
            for worker in workers:
                worker.start()
            found = [told.get() for _ in workers]
            for worker in workers:
                worker.join()
            rows.append(
                {
                    "processes": processes,
                    "threads of each": threads,
                    "searches/s": sum(n / seconds for n, seconds, _ in found),
                    "processor ms of a search": 1000 * sum(cpu for *_, cpu in found) / count,
                }
            )
    print_table("Searches", list(rows[0]), [list(row.values()) for row in rows])
    write_results("threads_and_processes", {"rows": rows}, quick=options.quick)


if __name__ == "__main__":
    main()
