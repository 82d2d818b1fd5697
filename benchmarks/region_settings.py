"""Choose what regions are stored and how they enter the score, on the split ``settings``.

    python benchmarks/region_settings.py --images PACKAGES --views VIEWS --work FOLDER

First which of the 25 windows of a third are stored, and in how many bits, each rated by the best
region alone (over a query in three sizes) and by the blend of `regions.py`; then the numbers of the
blend. Columns: recall@1 of every set, recall in 10 and in 50 of the three sets of small things, the
mean of all mAPs, and the largest loss of R@1 and of mAP against the whole vector.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict

import numpy as np

from measure import arguments, print_table, write_results
from region_data import COARSE, SplitData, Stored, region_arguments
from region_maps import Rows, unit
from region_scores import Quality, Regions, as_bytes, cover, farthest, k_means
from regions import blend

HALF_FINE = Stored("half fine", 448, (1 / 3, 1 / 5), 25)


def main() -> None:
    parser = arguments(__doc__)
    region_arguments(parser)
    parser.add_argument("--half-fine", action="store_true", help="also regions at 448 pixels")
    options = parser.parse_args()
    data = SplitData("settings", options)
    wholes = data.wholes(320, data.gallery)
    whole = data.wholes(320, data.queries) @ wholes.T
    before = data.rated(whole)
    rows: list[tuple[object, ...]] = [_row("whole vectors", before, before)]
    figures: dict[str, object] = {}

    def add(name: str, scores: Rows) -> None:
        rated = data.rated(scores)
        rows.append(_row(name, rated, before))
        figures[name] = {m.name: asdict(q) for m, q in zip(data.sets, rated, strict=True)}

    every = data.regions(COARSE.side, COARSE.parts)
    few = {
        "all 25, float32": every,
        "all 25, 4 bits": every.replaced(four_bits(every.rows)),
        "all 25, signs": every.replaced(unit(np.sign(every.rows))),
        "9 farthest, int8": _bytes(every.only(farthest(every, 9, wholes))),
        "9 covering, int8": _bytes(every.only(cover(every, 9))),
        "9 means, int8": _bytes(k_means(every, 9, wholes)),
        "18 covering, 4 bits": _four(every.only(cover(every, 18))),
    }
    for name, regions in few.items():
        best = data.best(regions)
        add(f"{name}: best region", best.max(axis=0))
        add(f"{name}: blend", blend(whole, best))
    tried = {"coarse": data.best(few["9 covering, int8"])}
    if options.half_fine:
        tried["half fine"] = data.best(
            data.kept(data.regions(HALF_FINE.side, HALF_FINE.parts), HALF_FINE.count)
        )
    for name, best in tried.items():
        for mean, extra, margin in itertools.product((0.5, 0.75), (0.25, 0.5), (0.05, 0.1, 0.15)):
            beyond = np.maximum(0, best.max(axis=0) - whole - margin)
            add(
                f"{name}: w + {mean} mean + {extra} (max - w - {margin})+",
                whole + mean * best.mean(axis=0) + extra * beyond,
            )
    names = [made.name[:14] for made in data.sets]
    print_table("Choices", ["way", *names, "small 10/50", "mAP", "loss R@1", "loss mAP"], rows)
    write_results("region_settings", {"ways": figures}, quick=options.quick)


def four_bits(rows: Rows) -> Rows:
    """What is left of vectors of 15 levels, clipped at .7 of each one's largest number."""
    step = 0.1 * np.abs(rows).max(axis=1, keepdims=True)
    return unit(np.clip(np.round(rows / step), -7, 7))


def _four(regions: Regions) -> Regions:
    return regions.replaced(four_bits(regions.rows))


def _bytes(regions: Regions) -> Regions:
    return regions.replaced(unit(as_bytes(regions.rows)))


def _row(name: str, rated: list[Quality], before: list[Quality]) -> tuple[object, ...]:
    small = rated[4:7]
    return (
        name,
        *(f"{100 * one.first:.0f}" for one in rated),
        " ".join(f"{100 * one.ten:.0f}/{100 * one.fifty:.0f}" for one in small),
        f"{100 * np.mean([one.mean_ap for one in rated]):.1f}",
        f"{100 * min(a.first - b.first for a, b in zip(rated, before, strict=True)):.1f}",
        f"{100 * min(a.mean_ap - b.mean_ap for a, b in zip(rated, before, strict=True)):.1f}",
    )


if __name__ == "__main__":
    main()
