"""The cost model of `docs/scale.md`, for ``cluster_growth.py --model``; see there.

What grows with the number of images is taken from the measured points: the slope between the two
largest, so that what a server takes while it is empty does not count. What was not measured is said
in `Assumed`, with where it comes from. A search asks each segment of a collection once; so its cost
grows with the number of segments, and within one with the logarithm of its rows.
"""

from __future__ import annotations

import json
import math
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glocal.gallery.plan import Plan
from glocal.gallery.walk import FoundFile
from measure import RESULTS, print_table
from synthetic import DIM

GIB = 2**30
SIZES = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)


@dataclass(frozen=True, slots=True)
class Assumed:
    """What the model takes for granted.

    Attributes:
        links: of a vector in the graph; the lowest layer has twice as many, four bytes each.
        segment_bytes: at which the measured server closes a segment: ``maxSize`` times
            ``sealProportion`` of ``dataCoord.segment`` in its configuration.
        large_segment_bytes: of a server that is set up for many vectors, for comparison.
        node_bytes: memory of a query node that vectors may take: 128 GiB less 30 %.
        node_cores: of a query node.
        encode_ms: processor time to decode and encode a photo (docs/measured.md: 100 photos a
            second of two cores).
        encode_cores: of all of Ray's workers together.
        index_cores: of all index nodes together.
        published: memory over raw vectors that the sizing of Alibaba Cloud's Milvus gives for 8
            million vectors of 768 numbers and M = 4: 31.2 and 22.9 GB.
    """

    links: int = 16
    segment_bytes: float = 0.23 * 512 * 2**20
    large_segment_bytes: float = 4 * GIB
    node_bytes: float = 0.7 * 128 * GIB
    node_cores: int = 16
    encode_ms: float = 20.0
    encode_cores: int = 64
    index_cores: int = 64
    published: float = 31.2 / 22.9


def slope(rows: list[dict[str, Any]], figure: str) -> float:
    """How much a figure grows with one image, between the two largest collections."""
    small, large = rows[-2], rows[-1]
    return float((large[figure] - small[figure]) / (large["count"] - small["count"]))


def plan_bytes(count: int = 20_000) -> float:
    """Memory that the plan of a run takes for each photo to be read, as it is now."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    plan = Plan()
    for folder in range(count // 500):
        names = range(500)
        plan.todo.append(
            (
                Path(f"/photos/{folder}"),
                [FoundFile(b"IMG_%09d.jpg" % n, 10**6 + n, 10**18 + n, 10**18 - n) for n in names],
            )
        )
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used / plan.count()


def writer(store: str) -> dict[str, float]:
    """What ``cluster_writer.py`` has measured."""
    rows = json.loads((RESULTS / "cluster_writer.json").read_text())["rows"]
    return dict(next(row for row in rows if row["store"] == store))


def model(rows: list[dict[str, Any]], assumed: Assumed) -> list[dict[str, Any]]:
    """What collections of `SIZES` would take."""
    raw = 4 * DIM
    graph = 8 * assumed.links
    memory = slope(rows, "server_MB") * 2**20
    disk = slope(rows, "disk_MB") * 2**20
    index_ms = 1000 * slope(rows, "index_server_cpu_s")
    write = writer("milvus")
    small, large = (  # rows of a segment; 100 bytes of columns
        size / (raw + 100) for size in (assumed.segment_bytes, assumed.large_segment_bytes)
    )
    image_ms = slope(rows, "search_server_cpu_ms")
    large_ms = image_ms * small * math.log(large) / math.log(small)  # for each segment
    fixed_ms = rows[0]["search_server_cpu_ms"]
    planned = plan_bytes()
    found = []
    for count in SIZES:
        least = count * (raw + graph)
        nodes = max(1, -(-int(count * memory) // int(assumed.node_bytes)))
        search_ms = fixed_ms + count * image_ms
        found.append(
            {
                "images": count,
                "raw_GiB": count * raw / GIB,
                "least_GiB": least / GIB,
                "published_GiB": count * raw * assumed.published / GIB,
                "measured_GiB": count * memory / GIB,
                "query_nodes": nodes,
                "segments": max(1.0, count / small),
                "search_cpu_ms": search_ms,
                "search_cpu_ms_large_segments": fixed_ms + max(1.0, count / large) * large_ms,
                "searches_per_s_all_nodes": 1000 * nodes * assumed.node_cores / search_ms,
                "store_disk_TiB": count * disk / 2**40,
                "index_h": count * index_ms / 3.6e6 / assumed.index_cores,
                "encode_h": count * assumed.encode_ms / 3.6e6 / assumed.encode_cores,
                "writer_h": count
                * (write["writer_cpu_ms_a_photo"] + write["unpacking_cpu_ms_a_photo"])
                / 3.6e6,
                "catalogue_TiB": count * write["kB_on_disk_a_photo"] * 1000 / 2**40,
                "plan_GiB": count * planned / GIB,
            }
        )
    return found


def print_model(rows: list[dict[str, Any]]) -> None:
    """Print it, a column for each size."""
    found = model(rows, Assumed())
    print_table(
        f"fitted to {rows[-2]['count']:,} and {rows[-1]['count']:,} vectors",
        ["figure", *(f"{each['images']:,}" for each in found)],
        [[name, *(each[name] for each in found)] for name in found[0] if name != "images"],
    )
