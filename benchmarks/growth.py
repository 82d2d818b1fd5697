"""What a gallery costs as it grows: time to search, memory, disk, time to write and to open.

    python benchmarks/growth.py [--sizes 1000,10000,100000,1000000] [--quick] [--plot FILE.svg]
    python benchmarks/growth.py --replot

For each size a gallery is filled with made vectors (see ``synthetic.py``) and local features as
large as the model's. Processes of their own then open it and search by vector, without an
encoder: what they take is what grows. Printed for each size: the median and 95th percentile of a
search with its look-ups of files, recall@10 against the exact scan, memory, allocated bytes on
disk per image, and seconds to write, to build the graph, and to open. The plot goes to
``docs/growth.svg`` and needs matplotlib; ``--replot`` draws it again from the results. A million
images take about 10 GB of disk in the temporary folder (`TMPDIR` names another), and below 2 GB
of memory.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from growth_plot import draw
from measure import (
    RESULTS,
    Target,
    arguments,
    median,
    percentile,
    print_table,
    print_targets,
    run_process,
    write_results,
)
from synthetic import fill_gallery
from vector_search import VectorSearch

PLOT = Path(__file__).resolve().parent.parent / "docs" / "growth.svg"
COLUMNS = {
    "images": "images",
    "p50_ms": "search, ms",
    "p95_ms": "p95, ms",
    "first_ms": "first search, ms",
    "recall_at_10": "recall@10",
    "peak_mb": "peak MB",
    "own_mb": "of that its own",
    "bytes_each": "bytes each",
    "bytes_each_without_parts": "without local features",
    "bytes_each_without_model": "and without the model's file",
    "write_s": "write, s",
    "graph_s": "graph, s",
    "open_s": "open, s",
}


def probe(folder: Path, queries: Path, *, recall: bool) -> dict[str, float]:
    """In a process of its own: open a gallery, search, and say what it took."""
    asked = np.load(queries)
    began = time.perf_counter()
    with VectorSearch(folder) as opened:
        seconds = time.perf_counter() - began
        if recall:
            return dict(zip(("mean", "worst"), opened.recall_at_10(asked), strict=True))
        first = opened.milliseconds(asked[0])
        for query in asked[1:50]:
            opened.milliseconds(query)
        times = [opened.milliseconds(query) for query in asked[50:]]
        return {
            "open_s": seconds,
            "first_ms": first,
            "p50_ms": median(times),
            "p95_ms": percentile(times, 0.95),
            "own_mb": _own_megabytes(),
        }


def _own_megabytes() -> float:
    """Memory that is this process's own; the rest are pages of files, which the system may drop."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("RssAnon"))
    return int(kilobytes) * 1024 / 1e6


def measure_size(place: Path, count: int, asked: int) -> dict[str, float]:
    """Everything for one size, as a row of the table."""
    folder, queries = place / "gallery", place / "queries.npy"
    filled = fill_gallery(folder, count, root=Path("/images"), with_local_features=True)
    np.save(queries, filled.space.queries(asked))
    command: list[str | Path] = [sys.executable, __file__, "--probe", folder, queries]
    searched = run_process(command)
    found = json.loads(run_process([*command, "--recall"]).output)
    row: dict[str, float] = json.loads(searched.output)
    row |= {
        "images": count,
        "recall_at_10": found["mean"],
        "worst_recall_at_10": found["worst"],
        "peak_mb": searched.peak_bytes / 1e6,
        "write_s": filled.write_seconds,
        "graph_s": filled.graph_seconds,
    }
    whole = allocated(folder)
    parts = local_feature_bytes(folder / "catalog.sqlite")
    model = sum(allocated(file) for file in folder.glob("model-*.onnx"))
    row |= {
        "bytes_each": whole / count,
        "bytes_each_without_parts": (whole - parts) / count,
        "bytes_each_without_model": (whole - parts - model) / count,
        "bytes_each_of_catalogue": (allocated(folder / "catalog.sqlite") - parts) / count,
        "bytes_each_of_vectors": allocated(folder / "vectors") / count,
    }
    shutil.rmtree(folder)
    return row


def allocated(path: Path) -> int:
    """Bytes that a file, or a folder with all below it, takes on the disk."""
    items = [path, *path.rglob("*")] if path.is_dir() else [path]
    return sum(item.lstat().st_blocks * 512 for item in items)


def local_feature_bytes(catalog: Path) -> int:
    """What the local features take in the catalogue, with the pages that they only half fill.

    SQLite's own count of pages is asked for where it was compiled in. Without it the catalogue is
    copied, and what it shrinks by without the table is the answer.
    """
    import sqlite3

    connection = sqlite3.connect(catalog)
    try:
        row = connection.execute(
            "SELECT SUM(pgsize) FROM dbstat WHERE name LIKE '%local_features%'"
        )
        return int(row.fetchone()[0])
    except sqlite3.OperationalError:
        copy = catalog.with_name("without-features.sqlite")
        connection.execute("VACUUM INTO ?", (str(copy),))
        full = copy.stat().st_size
        copied = sqlite3.connect(copy)
        copied.execute("DROP TABLE local_features")
        copied.execute("VACUUM")
        copied.close()
        small = copy.stat().st_size
        copy.unlink()
        return full - small
    finally:
        connection.close()


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = arguments(__doc__)
    parser.add_argument("--sizes", default="1000,10000,100000,1000000", help="images, by commas")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--plot", type=Path, default=PLOT, help="where the plot goes")
    parser.add_argument("--replot", action="store_true", help="only draw, from the last results")
    parser.add_argument("--probe", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--recall", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.sizes = [int(size) for size in given.sizes.split(",")]
    if given.quick:
        given.sizes, given.queries, given.plot = [500, 3_000], 120, RESULTS / "growth.quick.svg"
    return given


def report(rows: list[dict[str, float]], given: argparse.Namespace) -> None:
    """Print and write what was measured."""
    print_table(
        "A gallery as it grows",
        list(COLUMNS.values()),
        [tuple(row[key] for key in COLUMNS) for row in rows],
    )
    largest = rows[-1]
    figures = {
        f"recall@10 at {largest['images']:,}": largest["recall_at_10"],
        f"bytes each without local features at {largest['images']:,}": largest[
            "bytes_each_without_parts"
        ],
    }
    bounds: list[Target] = [
        (name, *bound) for name, bound in zip(figures, ((">=", 0.99), ("<=", 1536)), strict=True)
    ]
    targets = print_targets(figures, bounds)
    write_results("growth", {"rows": rows, "targets": targets}, quick=given.quick)


def main() -> None:
    given = options()
    if given.probe:
        print(json.dumps(probe(*given.probe, recall=given.recall)))
        return
    if given.replot:
        rows = json.loads((RESULTS / "growth.json").read_text(encoding="utf-8"))["rows"]
    else:
        rows = []
        for size in given.sizes:
            with tempfile.TemporaryDirectory() as temporary:
                rows.append(measure_size(Path(temporary), size, given.queries))
                print(f"{size:,} images are measured", file=sys.stderr)
        report(rows, given)
    if find_spec("matplotlib") is None:
        print("Without matplotlib there is no plot: pip install matplotlib")
        return
    draw(rows, given.plot)
    print(f"wrote {given.plot.name}")


if __name__ == "__main__":
    main()
