"""What a graph finds whose points are the bytes of vectors, or only their signs.

    python benchmarks/graph_codes.py [--count 100000] [--kinds signs/16,signs/12,signs/8,bytes/16]
    python benchmarks/graph_codes.py --pack PACK [--kinds ...]

The vectors are made (see ``synthetic.py``), or those of the default model for the images of PACK,
which ``scripts/default_model/pack.py`` wrote, squashed to squares. With ``--of`` above ``--count``
they are the first ones of a larger gallery, so that few are of one subject, which is harder. For
each kind and number of links: processor time to build, bytes a vector, and for so many candidates
recall@10 against all vectors as they are kept, on average and of the worst query, with milliseconds
of the processor for a walk and for comparing what it found. Before that: how many of the ten
nearest signs lead to, tried among 4,000 of the vectors with a sixtieth of them as candidates, as
was done once, and among all of them, as is done before a graph is built.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

sys.path.append(str(Path(__file__).resolve().parent.parent / "scripts" / "default_model"))

from pack import read

from glocal.encoders import load_encoder
from glocal.gallery.stores.coding import BYTES, led_by_signs
from glocal.gallery.stores.graph import expansion_of
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


def packed(pack: Path, most: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The same of real images, 300 of which are the queries."""
    images, _ = read(pack)
    encoder = load_encoder()
    chosen = np.random.default_rng(0).permutation(len(images))[: most + 300]
    vectors = np.stack([encoder.encode([images[number]])[0].vector for number in chosen])
    return BYTES.coded(vectors[300:]), vectors[:300]


def led(rows: NDArray[np.int8], candidates: int) -> float:
    """The share of the nearest that signs lead to, tried as before a graph is built."""
    codes = BYTES.points(rows, "bytes")
    pieces = [codes[start : start + 5_000] for start in range(0, len(codes), 5_000)]
    some = codes[:: max(len(codes) // 100, 1)][:100]
    return led_by_signs(some, lambda: pieces, candidates)


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
    parser.add_argument("--pack", type=Path, help="real images in place of made vectors")
    told = parser.parse_args()
    if told.quick:
        told.count = 3_000
    if told.pack:
        rows, queries = packed(told.pack, told.count)
    else:
        rows, queries = made(told.count, told.of or told.count)
    few = rows[:: max(len(rows) // 4_000, 1)][:4_000]
    shares = led(few, len(few) // 60), led(rows, expansion_of("signs", len(rows)))
    for share, count in zip(shares, (len(few), len(rows)), strict=True):
        print(f"signs lead to {share:.3f} of the nearest of {count}")
    found = [measured(kind, rows, queries) for kind in told.kinds.split(",")]
    print_table("Graphs", [*found[0]], [[*row.values()] for row in found])
    name = "graph_codes_of_images" if told.pack else "graph_codes"
    figures = {"count": len(rows), "led": shares, "rows": found}
    write_results(name, figures, quick=told.quick)


if __name__ == "__main__":
    main()
