"""How long a search takes in a gallery of 100,000 images, and what each part of it takes.

    python benchmarks/search_latency.py [--count 100000] [--work DIR] [--quick]

Measured inside one process, with everything open and warm:

- ``Gallery.search`` with a two-megapixel JPEG, part by part: decoding, network, and all else, first
  without geometric verification and then with it;
- ``Gallery.search`` with queries that were made before, which neither decodes nor encodes, and the
  processor time of one;
- the store's search by itself;
- searches under conditions, each also compared with the exact answer;
- for 5,000 to 100,000 vectors, the exact scan against the graph: where a graph begins to pay.

The gallery is filled with made vectors (see ``synthetic.py``); ``--work`` names a folder that keeps
it for the next run and for ``cold_start.py``.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from glocal.gallery import Gallery
from glocal.gallery.records import Attributes, Record
from glocal.gallery.stores import flat, upkeep
from glocal.gallery.stores.flat import FlatStore
from glocal.gallery.where import parse
from measure import (
    Target,
    arguments,
    median,
    milliseconds,
    percentile,
    print_table,
    print_targets,
    write_results,
)
from photos import make_photos
from synthetic import DIM, Space, Vectors, gallery_at
from vector_search import VectorSearch, open_store, recall_at_10

TARGETS: list[Target] = [
    ("finished query, ms", "<=", 1.5),
    ("recall@10", ">=", 0.99),
    ("lowest recall@10 under a condition", ">=", 0.99),
]
CROSSOVER = (5_000, 10_000, 20_000, 50_000, 100_000)


def conditions(root: Path) -> dict[str, str]:
    """Conditions of every kind, by what they say."""
    return {
        "folder (one album)": f"folder = '{root / '2005' / 'album-000'}'",
        "folder (a year, 25 albums)": f"folder = '{root / '2005'}'",
        "date (one year of 20)": "taken = 2015",
        "date (from the middle on)": "taken >= 2015",
        "place (within 50 km)": "near 48.85, 2.35 within 50 km",
        "place (within 1,000 km)": "near 48.85, 2.35 within 1000 km",
        "camera": "camera = nikon",
        "width": "width < 3500",
        "date, camera and place": (
            "taken >= 2015 and camera = canon and near 48.85, 2.35 within 1000 km"
        ),
    }


def whole_searches(
    gallery: Gallery, photos: Sequence[Path], rounds: int, *, verify: bool
) -> dict[str, float]:
    """Medians over many searches with images: each part, and what is left of the whole."""
    parts: dict[str, list[float]] = {}
    for _ in range(rounds):
        for photo in photos:
            started = time.perf_counter()
            spent = gallery.search(photo, verify=verify).timings_ms
            whole = (time.perf_counter() - started) * 1000
            spent["whole"] = whole
            spent["all else"] = whole - spent["decode"] - spent["encode"]
            for name, value in spent.items():
                parts.setdefault(name, []).append(value)
    return {f"{name}, ms": median(values) for name, values in parts.items()}


def finished_queries(gallery: Gallery, photos: Sequence[Path], rounds: int) -> dict[str, float]:
    """A search by the vector besides decoding and encoding: of a clock, and of the processor."""
    queries = [gallery.query(photo) for photo in photos] * rounds
    used = time.process_time()
    times = [milliseconds(partial(gallery.search, query, verify=False)) for query in queries]
    spent = (time.process_time() - used) * 1000 / len(queries)
    return {"finished query, ms": median(times), "of the processor, ms (mean)": spent}


def filtered(opened: VectorSearch, root: Path, queries: Vectors) -> list[dict[str, Any]]:
    """Searches under conditions: reading the condition, the search with its look-ups, recall."""
    rows = []
    for name, text in conditions(root).items():
        condition = parse(text, opened.catalog)
        searching = [opened.milliseconds(query, where=condition) for query in queries]
        rows.append(
            {
                "condition": name,
                "reading it, ms": median(
                    milliseconds(partial(parse, text, opened.catalog)) for _ in range(9)
                ),
                "search, ms": median(searching),
                "p95, ms": percentile(searching, 0.95),
                "recall@10": opened.recall_at_10(queries, where=condition)[0],
            }
        )
    return rows


def crossover(place: Path, counts: Sequence[int], queries: int) -> list[dict[str, Any]]:
    """For each count of vectors: the exact scan, before and after a graph is built, and the graph.

    glocal builds none below `GRAPH_FROM`, and walks none where comparing costs less; here it is
    made to.
    """
    forced = {
        (upkeep, "GRAPH_FROM"): 1_000,
        (upkeep, "GRAPH_BEHIND"): 0,
        (flat, "_WALK"): 0,
        (flat, "_LOADING"): 0,
    }
    usual = {(module, name): getattr(module, name) for module, name in forced}
    rows = []
    try:
        for (module, name), value in forced.items():
            setattr(module, name, value)
        for count in counts:
            space = Space(count)
            folder = place / f"crossover-{count}"
            shutil.rmtree(folder, ignore_errors=True)  # of an earlier run in the same --work
            store = open_store(folder, DIM)
            _fill(store, space, count)
            asked = space.queries(queries)
            before = _search_ms(store, asked, exact=False)
            began = time.perf_counter()
            if not store.maintain():
                raise SystemExit(f"no graph was built over {count} vectors")
            while store.status().building:
                time.sleep(0.02)
            built = time.perf_counter() - began
            covered = store.status().in_graph
            rows.append(
                {
                    "vectors": count,
                    "no graph, ms": before,
                    "exact beside a graph, ms": _search_ms(store, asked, exact=True),
                    "graph, ms": _search_ms(store, asked, exact=False),
                    "in graph": covered,
                    "build, s": built,
                    "recall@10": recall_at_10(store, asked)[0],
                }
            )
            store.close()
    finally:
        for (module, name), value in usual.items():
            setattr(module, name, value)
    return rows


def _fill(store: FlatStore, space: Space, count: int) -> None:
    for start in range(0, count, 1000):
        vectors = space.draw(min(1000, count - start), seed=start)
        store.upsert(
            [
                Record(
                    UUID(int=start + i + 1), vector, Attributes((1, 2 + i % 500), 4032, 3024, 10**6)
                )
                for i, vector in enumerate(vectors)
            ]
        )


def _search_ms(store: FlatStore, queries: Vectors, *, exact: bool) -> float:
    for query in queries[:20]:
        store.search(query, 10, exact=exact)
    return median(milliseconds(partial(store.search, q, 10, exact=exact)) for q in queries)


def show_rows(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print dictionaries with the same keys as a table."""
    print_table(title, list(rows[0]), [tuple(row.values()) for row in rows])


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="images in the gallery")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--work", type=Path, help="keep or find the filled gallery here")
    given = parser.parse_args()
    given.crossover = CROSSOVER
    if given.quick:
        given.count, given.queries, given.crossover = 22_000, 30, (2_000, 5_000)
    return given


def measure(place: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Everything, as it goes into the results."""
    root = Path("/images")
    filled = gallery_at(place, given.count, root)
    queries = filled.space.queries(given.queries)
    photos = make_photos(place / "photos", 3 if given.quick else 20)
    with Gallery(filled.folder, create=False) as gallery:
        gallery.search(photos[0])
        rounds = 2 if given.quick else 10
        figures = whole_searches(gallery, photos, rounds, verify=False)
        second = whole_searches(gallery, photos, rounds, verify=True)
        finished = finished_queries(gallery, photos, rounds)
    for title, parts in (("by the vector", figures), ("with verification", second)):
        print_table(
            f"Gallery.search, {given.count:,} images, {title}",
            ["part", "median, ms"],
            [(name.removesuffix(", ms"), value) for name, value in parts.items()],
        )
    print_table("A finished query, by the vector", ["", ""], list(finished.items()))
    figures |= finished
    with VectorSearch(filled.folder) as opened:
        times = [opened.milliseconds(query) for query in queries]
        vectors = {"store, ms": _search_ms(opened.store, queries, exact=False)}
        vectors["with look-ups, ms"] = median(times)
        vectors["with look-ups p95, ms"] = percentile(times, 0.95)
        vectors["recall@10"], vectors["worst recall@10"] = opened.recall_at_10(queries)
        under = filtered(opened, root, queries[: max(10, given.queries // 6)])
    print_table("From a vector to files", ["", "median"], list(vectors.items()))
    show_rows(f"Under conditions, {given.count:,} images", under)
    crossing = crossover(place, given.crossover, given.queries)
    show_rows(f"Exact scan or graph (glocal: from {upkeep.GRAPH_FROM:,} on)", crossing)
    figures |= vectors
    figures["lowest recall@10 under a condition"] = min(row["recall@10"] for row in under)
    return {
        "count": given.count,
        "medians": figures,
        "with verification": second,
        "conditions": under,
        "crossover": crossing,
        "graph_from": upkeep.GRAPH_FROM,
        "targets": print_targets(figures, TARGETS),
    }


def main() -> None:
    given = options()
    with tempfile.TemporaryDirectory() as temporary:
        place = given.work or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        results = measure(place, given)
    write_results("search_latency", results, quick=given.quick)


if __name__ == "__main__":
    main()
