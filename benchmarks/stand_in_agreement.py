"""Which stand-ins tell a model that is better on the scenes from one that is worse?

    python benchmarks/stand_in_agreement.py [FIGURES.json ...]

FIGURES are what ``stand_ins.py --json`` wrote; ``results/stand_ins.json``, which is always read,
has what it printed of every model that was trained for glocal. For each stand-in, over the models
that have its figure and that of the scenes: Spearman's rank correlation of the two mAPs, how many
models, and the correlation with every other stand-in in turn. Models that come of one another are
no independent sample, so no probability is given.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from scipy.stats import spearmanr  # type: ignore[import-untyped]

from measure import RESULTS, print_table

LEAST = 4
"""A correlation of fewer models says nothing."""

Figures = dict[str, dict[str, dict[str, float]]]


def agreement(figures: Figures, one: str, other: str) -> tuple[float | None, int]:
    """Spearman's correlation of the mAP of two sets over the models that have both; how many."""
    pairs = [
        (sets[one]["mAP"], sets[other]["mAP"])
        for sets in figures.values()
        if one in sets and other in sets
    ]
    if len(pairs) < LEAST:
        return None, len(pairs)
    return float(spearmanr(*zip(*pairs, strict=True)).statistic), len(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", type=Path, nargs="*")
    options = parser.parse_args()
    figures: Figures = {}
    for path in (RESULTS / "stand_ins.json", *options.figures):
        figures |= json.loads(path.read_text(encoding="utf-8"))
    names = sorted({name for sets in figures.values() for name in sets} - {"scenes"})
    rows = []
    for one in names:
        found = [agreement(figures, one, other) for other in ("scenes", *names)]
        shown = ["" if value is None else f"{value:.2f} ({count})" for value, count in found]
        rows.append((one, *shown))
    print_table(
        f"Rank correlation of mAP over {len(figures)} models (how many have both)",
        ["stand-in", "scenes", *names],
        rows,
    )


if __name__ == "__main__":
    main()
