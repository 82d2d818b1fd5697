"""MUVERA's fixed-dimension encodings of region vectors against exact MaxSim over them.

    python benchmarks/region_muvera.py --images PACKAGES --views VIEWS --work FOLDER

Each gallery image is its coarse regions (`regions.py`), and a query is its own regions, or its
whole vector in three sizes, of which the best counts. Exact MaxSim says which ten images are
nearest, and the truth of the sets which are right. Each way proposes images, which exact MaxSim
then orders:

* encodings, as many as fit into the bytes of the regions and more, each as int8;
* the regions, each a vector of its own, grouped by image: what glocal does;
* the whole vectors.

Times are of the processor for a query, proposals only, one thread; everything is compared exactly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from glocal.ranking.maxsim import max_similarities
from glocal.ranking.muvera import FixedEncoding
from measure import arguments, print_table, write_results
from region_data import QUERY_SIDES, SplitData, region_arguments
from region_maps import Rows
from region_scores import as_bytes, best_per_image

PROPOSED = (10, 50, 100)
_ENCODINGS = (  # repetitions, planes, width
    (8, 3, 36),
    (18, 3, 32),
    (20, 4, 16),
    (10, 3, 128),
    (20, 5, 32),
)


def main() -> None:
    parser = arguments(__doc__)
    region_arguments(parser)
    options = parser.parse_args()
    data = SplitData("kept", options)
    coarse = data.coarse()
    documents = [coarse.of(image) for image in range(len(data.gallery))]
    wholes = data.wholes(320, data.gallery)
    sizes = [data.wholes(side, data.queries) for side in QUERY_SIDES]
    own = data.coarse(data.queries)
    kinds = {
        "regions": [[own.of(n)] for n in range(len(data.queries))],
        "three sizes": [[size[n : n + 1] for size in sizes] for n in range(len(data.queries))],
    }
    rows, figures = [], []
    for kind, asked in kinds.items():
        exact = np.stack([max_similarities(one, documents).max(axis=0) for one in asked])
        ways: dict[str, tuple[float, Callable[[list[Rows], int], Rows]]] = {
            "whole vectors": (512.0, lambda _, n: wholes @ sizes[-1][n]),
            "regions, exact": (
                float(coarse.rows.nbytes / 4 / len(documents)),
                lambda one, _: _nearest_region(np.concatenate(one), coarse.rows, coarse.first),
            ),
        }
        for repetitions, planes, width in _ENCODINGS:
            encoding = FixedEncoding(512, repetitions, planes, width)
            encoded = as_bytes(encoding.encode_documents(documents))
            ways[f"{repetitions} x 2^{planes} x {width or 512}"] = (
                float(encoding.dim),
                partial(_by_encoding, encoding, encoded),
            )
        for name, (bytes_each, score) in ways.items():
            began = time.process_time()
            scores = np.stack([score(one, n) for n, one in enumerate(asked)])
            spent = 1000 * (time.process_time() - began) / len(asked)
            figure: dict[str, Any] = {
                "query": kind,
                "way": name,
                "bytes": bytes_each,
                "ms": spent,
                **{f"recall {n}": _recall(exact, scores, n) for n in PROPOSED},
                "right in 50": _right(data, scores),
            }
            figures.append(figure)
            rows.append((name, kind, *(_shown(v) for v in list(figure.values())[2:])))
    print_table(
        "Share of the ten nearest by exact MaxSim among those proposed; right images in 50",
        ["way", "query", "bytes", "ms", *(f"of {n}" for n in PROPOSED), "right in 50"],
        rows,
    )
    write_results("region_muvera", {"ways": figures}, quick=options.quick)


def _by_encoding(encoding: FixedEncoding, rows: Rows, queries: list[Rows], _: int) -> Rows:
    scores: Rows = np.max([rows @ encoding.encode_query(local) for local in queries], axis=0)
    return scores


def _nearest_region(queries: Rows, rows: Rows, first: np.ndarray) -> Rows:
    """The mean, over the query's vectors, of the best region of each image."""
    means: Rows = best_per_image(queries @ rows.T, first).mean(axis=0)
    return means


def _recall(exact: Rows, scores: Rows, proposed: int) -> float:
    nearest = np.argsort(-exact, axis=1, kind="stable")[:, :10]
    found = np.argsort(-scores, axis=1, kind="stable")[:, :proposed]
    return float(np.mean([np.isin(a, b).mean() for a, b in zip(nearest, found, strict=True)]))


def _right(data: SplitData, scores: Rows) -> float:
    rated = data.rated(scores)
    counts = [len(made.queries) for made in data.sets]
    return float(np.average([one.fifty for one in rated], weights=counts))


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3f}"


if __name__ == "__main__":
    main()
