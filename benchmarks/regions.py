"""Search by whole vectors beside search by whole vectors and regions, on images kept aside.

    python benchmarks/regions.py --images PACKAGES --views VIEWS --work FOLDER [--split settings]

The sets are those of `region_sets`; settings were chosen on ``settings`` by `region_settings.py`.
A query is its whole vector in three sizes; every size is compared with every region, and an image's
score is

    w + 0.5 * mean(b) + 0.5 * max(0, max(b) - w - 0.05)

with w the cosine of the whole vectors and b, for each size, the best of the image's regions. By
vectors only, exactly, without geometric verification. Figures are recall@1, in the first 10, in
the first 50 and mAP, in per cent.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from measure import arguments, print_table, print_targets, write_results
from region_data import COARSE, FINE, SplitData, Stored, region_arguments
from region_maps import Rows

_HALF_FINE = Stored("half fine", 448, (1 / 3, 1 / 5), 25)
_TARGETS = (
    ("small 30-40 %, coarse, R@1", ">=", 0.50),
    ("small 30-40 %, fine, R@1", ">=", 0.85),
    ("small 30-40 %, fine, either in 50", ">=", 0.95),
    ("crop to a half, coarse, R@1", ">=", 0.95),
    ("least change of R@1, coarse", ">=", -0.003),
    ("least change of R@1, fine", ">=", -0.003),
)


def blend(whole: Rows, best: Rows) -> Rows:
    """The score that orders images.

    Args:
        whole: ``(queries, gallery)``, cosines of the whole vectors.
        best: ``(sizes, queries, gallery)``, the best region's cosine for each size of the query.
    """
    beyond = np.maximum(0, best.max(axis=0) - whole - np.float32(0.05))
    return np.asarray(whole + 0.5 * best.mean(axis=0) + 0.5 * beyond, np.float32)


def interleaved(first: Rows, second: Rows) -> Rows:
    """Scores whose order takes an image of each order in turn."""
    places = [np.argsort(np.argsort(-scores, axis=1), axis=1) for scores in (first, second)]
    return np.asarray(-np.minimum(2 * places[0], 2 * places[1] + 1), np.float32)


def main() -> None:
    parser = arguments(__doc__)
    region_arguments(parser)
    parser.add_argument("--split", choices=("settings", "kept"), default="kept")
    parser.add_argument("--only", nargs="+", choices=("coarse", "half fine", "fine"))
    options = parser.parse_args()
    data = SplitData(options.split, options)
    whole = data.wholes(320, data.queries) @ data.wholes(320, data.gallery).T
    ways = {"whole": whole}
    figures: dict[str, object] = {}
    measured: dict[str, float] = {}
    for stored in (COARSE, _HALF_FINE, FINE):
        if options.only and stored.name not in options.only:
            continue
        regions = data.kept(data.regions(stored.side, stored.parts), stored.count)
        best = data.best(regions)
        ways[stored.name] = blend(whole, best)
        ways[f"{stored.name}, regions only"] = best.max(axis=0)
        ways[f"{stored.name}, either"] = interleaved(ways[stored.name], best.max(axis=0))
    rated = {name: data.rated(scores) for name, scores in ways.items()}
    for name, qualities in rated.items():
        figures[name] = {
            made.name: asdict(one) for made, one in zip(data.sets, qualities, strict=True)
        }
        pairs = zip(qualities, rated["whole"], strict=True)
        changes = [new.first - old.first for new, old in pairs]
        measured[f"least change of R@1, {name}"] = min(changes)
        for made, one in zip(data.sets, qualities, strict=True):
            short = made.name.removesuffix(" of the side")
            measured[f"{short}, {name}, R@1"] = one.first
            measured[f"{short}, {name} in 50"] = one.fifty
    print_table(
        f"Recall@1 / in 10 / in 50 / mAP ({options.split}, {len(data.gallery)} images)",
        ["set", "queries", *ways],
        data.rows(ways),
    )
    evaluated = print_targets(measured, _TARGETS)
    write_results(
        "regions" if options.split == "kept" else "regions_settings_split",
        {"images": len(data.gallery), "ways": figures, "targets": evaluated},
        quick=options.quick,
    )


if __name__ == "__main__":
    main()
