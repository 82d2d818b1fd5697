"""What an HNSW graph finds of whole vectors and of region vectors, by order of insertion.

    python benchmarks/graph_recall.py --images PACKAGES --views VIEWS --work FOLDER

The vectors are those of `regions.py`, whose maps lie in FOLDER; the queries are the whole vectors
of its queries. Each graph is compared with exact search (`glocal.analyse.study_graph`): with the
settings of glocal's store, with the same in float32, which tells what bytes lose and what the walk,
and with weaker ones, which show what the order does.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from glocal.analyse import study_graph
from measure import arguments, print_table, write_results
from region_data import SplitData, region_arguments

_SETTINGS: dict[str, dict[str, Any]] = {
    "the store's": {"connectivity": 16, "expansion_add": 128, "expansion_search": 64},
    "the store's, in float32": {
        "connectivity": 16,
        "expansion_add": 128,
        "expansion_search": 64,
        "number": "f32",
    },
    "weak": {"connectivity": 4, "expansion_add": 16, "expansion_search": 16},
}


def main() -> None:
    parser = arguments(__doc__)
    region_arguments(parser)
    options = parser.parse_args()
    data = SplitData("kept", options)
    queries = data.wholes(320, data.queries)
    coarse = data.coarse()
    vectors = {
        "whole vectors": (data.wholes(320, data.gallery), data.gallery),
        "regions": (coarse.rows, np.repeat(np.arange(len(data.gallery)), np.diff(coarse.first))),
    }
    rows, figures = [], []
    for name, (given, groups) in vectors.items():
        for kind, settings in _SETTINGS.items():
            study = study_graph(
                given,
                queries,
                groups=groups,
                orders=(
                    "as given",
                    "random",
                    "by group",
                    "dimension ascending",
                    "dimension descending",
                ),
                **settings,
            )
            figures.append({"vectors": name, "settings": kind, **asdict(study)})
            rows += [
                (
                    f"{name} ({study.vectors:,})",
                    kind,
                    f"{study.dimension:.1f}",
                    one.order,
                    f"{one.recall:.4f}",
                    f"{one.worst:.2f}",
                    round(one.distances),
                    f"{one.correlation:.2f}",
                )
                for one in study.insertions
            ]
    print_table(
        "Recall@10 of HNSW against exact search",
        ["vectors", "graph", "dimension", "order", "recall", "worst", "distances", "correlation"],
        rows,
    )
    write_results("graph_recall", {"studies": figures}, quick=options.quick)


if __name__ == "__main__":
    main()
