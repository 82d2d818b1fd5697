"""What a graph finds whose points are the bytes of vectors, or only their signs.

    python benchmarks/graph_codes.py [--count 100000] [--kinds signs/16,signs/12,signs/8,bytes/16]

The vectors are made (see ``synthetic.py``); with ``--of`` above ``--count`` they are the first ones
of a larger gallery, so that few are of one subject, which is harder. For each kind and number of
links: processor time to build, bytes a vector, and for so many candidates recall@10 against all
vectors as they are kept, on average and of the worst query, with milliseconds of the processor for
a walk and for comparing what it found.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from glocal.gallery.stores.coding import BYTES
from measure import arguments, print_table, write_results
from synthetic import DIM, Space

_CHUNK = 2_000
_CANDIDATES = (64, 128, 256, 512, 1024)


def made(count: int, of: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rows as a gallery keeps them, and queries."""
    space = Space(of)
    starts = range(0, count, _CHUNK)
    rows = [BYTES.coded(space.draw(min(_CHUNK, count - start), seed=start)) for start in starts]
    return np.concatenate(rows), space.queries(300)


def measured(kind: str, rows: NDArray[np.int8], queries: NDArray[np.float32]) -> dict[str, object]:
    """Build one graph and search it."""
    what, _, links = kind.partition("/")
    points = BYTES.points(rows, "signs" if what == "signs" else "bytes")
    index = Index(
        ndim=DIM,
        metric="hamming" if what == "signs" else "cos",
        dtype="b1" if what == "signs" else "i8",
        connectivity=int(links),
        expansion_add=128,
    )
    began = time.process_time()
    index.add(np.arange(len(rows)), points, threads=1)
    row: dict[str, object] = {"graph": kind, "build, s": time.process_time() - began}
    with tempfile.TemporaryDirectory() as folder:
        index.save(str(Path(folder) / "graph"))
        row["bytes"] = (Path(folder) / "graph").stat().st_size / len(rows)
    kept = BYTES.vectors(rows)
    exact = np.argpartition(-(queries @ kept.T), 10, axis=1)[:, :10]
    asked = BYTES.points(BYTES.coded(queries), "signs" if what == "signs" else "bytes")
    for count in _CANDIDATES:
        index.expansion_search = count  # type: ignore[misc] # no property to its stubs
        shares, began = [], time.process_time()
        for query, point, right in zip(queries, asked, exact, strict=True):
            found = np.sort(index.search(point, count, threads=1).keys.astype(np.int64))
            best = found[np.argsort(-(BYTES.vectors(np.take(rows, found, axis=0)) @ query))[:10]]
            shares.append(np.isin(right, best).mean())
        spent = 1000 * (time.process_time() - began) / len(queries)
        row[f"{count}"] = f"{np.mean(shares):.4f} ({np.min(shares):.1f}), {spent:.2f} ms"
    return row


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--of", type=int, help="vectors of the gallery they are the first of")
    parser.add_argument("--kinds", default="signs/16,signs/12,signs/8,bytes/16")
    told = parser.parse_args()
    if told.quick:
        told.count = 3_000
    rows, queries = made(told.count, told.of or told.count)
    found = [measured(kind, rows, queries) for kind in told.kinds.split(",")]
    print_table("Graphs", [*found[0]], [[*row.values()] for row in found])
    write_results("graph_codes", {"count": told.count, "rows": found}, quick=told.quick)


if __name__ == "__main__":
    main()
