"""Clients that search without pause through several `glocal serve` of one gallery in Milvus.

    python benchmarks/cluster_serving.py [--clients 50] [--servers 2] [--seconds 60] [--count 300]
        [--work DIR]

The vectors lie in a Milvus server that is started here (PyPI's package ``milvus``), everything else
in the gallery's folder, which all servers have open. Each client keeps one connection to one of the
servers, as behind a balancer that counts connections, and sends the next search as soon as it has
the answer to the last; queries are those of `serving_load.py`. A round with one server comes first.
Nothing is indexed meanwhile. The machine's cores are shared by clients, servers and Milvus, whose
shares of the processor are told.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cluster_growth import processor
from cluster_here import cluster_file, milvus
from measure import (
    arguments,
    glocal_command,
    print_table,
    print_targets,
    run_process,
    write_results,
)
from serving_load import (
    Tally,
    alone,
    figures,
    images,
    pieces,
    processor_seconds,
    request,
    search,
    start,
)

TARGETS = [("failed searches", "<=", 0)]
_ALONE = 40  # searches one after the other


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--count", type=int, default=300, help="of images in the gallery")
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.count = 8.0, 60
    with (
        TemporaryDirectory(dir=options.work) as folder,
        milvus(Path(folder) / "milvus") as server,
    ):
        place = Path(folder)
        chosen = images(options.count + 100, place / "noise")
        for name in ("old", "new", "newer"):
            (place / name).mkdir()
        for number in range(options.count):
            shutil.copyfile(chosen.pop(), place / "old" / f"{number}.jpg")
        config = cluster_file(place / "cluster.toml", server, None)
        index: list[str | Path] = ["index", place / "old", "-g", place / "gallery"]
        run_process([*glocal_command(), *index, "--cluster", config])
        queries = pieces([path.read_bytes() for path in chosen], options.clients * 8)
        rounds = [
            measure(place, server._process.pid, queries, servers, options.clients, options.seconds)
            for servers in dict.fromkeys((1, options.servers))
        ]
    columns = [name for name in rounds[0] if name not in ("statuses", "hostile requests")]
    print_table(
        f"{options.clients} clients for {options.seconds:g} s",
        columns,
        [[row[name] for name in columns] for row in rounds],
    )
    found = {
        "clients": options.clients,
        "seconds": options.seconds,
        "images": options.count,
        "rounds": rounds,
        "targets": print_targets(
            {"failed searches": sum(row["failed"] for row in rounds)}, TARGETS
        ),
    }
    write_results("cluster_serving", found, quick=options.quick)


def measure(
    place: Path, store: int, queries: Sequence[bytes], count: int, clients: int, seconds: float
) -> dict[str, Any]:
    """One round with so many servers."""
    servers: list[tuple[subprocess.Popen[str], int]] = []
    try:
        servers.extend(start(place) for _ in range(count))
        for process, port in servers:
            alone(port, process.pid, queries[:10])  # whatever is loaded at first
        process, port = servers[0]
        before = processor(store)
        each = alone(port, process.pid, queries[:_ALONE])
        each_store = (processor(store) - before) / _ALONE
        used, stored = [processor_seconds(p.pid) for p, _ in servers], processor(store)
        tally = asyncio.run(together([port for _, port in servers], queries, clients, seconds))
        spent = [processor_seconds(p.pid) - u for (p, _), u in zip(servers, used, strict=True)]
        cores = len(os.sched_getaffinity(0))
        return {
            "servers": count,
            **figures(tally),
            "one alone, ms of a core": 1000 * each,
            "its share of Milvus, ms": 1000 * each_store,
            "servers' share of cores": sum(spent) / tally.seconds / cores,
            "Milvus's share": (processor(store) - stored) / tally.seconds / cores,
        }
    finally:
        for process, _ in servers:
            process.send_signal(signal.SIGTERM)
        for process, _ in servers:
            process.wait(timeout=60)


async def together(
    ports: Sequence[int], queries: Sequence[bytes], clients: int, seconds: float
) -> Tally:
    tally, began = Tally(), time.monotonic()
    bodies = [request(photo) for photo in queries]
    await asyncio.gather(
        *(
            search(ports[n % len(ports)], bodies[n::clients], began + seconds, tally)
            for n in range(clients)
        )
    )
    tally.seconds = time.monotonic() - began
    return tally


if __name__ == "__main__":
    main()
