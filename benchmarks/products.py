"""What a product's page finds among videos and streams, in parts that the trial of COPE sums up.

    GLOCAL_GROCERY=DATASET python benchmarks/products.py [--quick]

The task is that of the trial (`glocal.trials.query.cope`), asked on the validation photos of some
divisions that the trial has not. Prints mAP by the trained network, without the text, and by frozen
vectors, and by how much the network is better among videos, among streams, and for the 20 products
that it was not trained on; then the means and their standard errors.
"""

from __future__ import annotations

import numpy as np

from glocal.trials.query import cope
from measure import arguments, print_table, write_results

VALIDATION, FIRST, DIVISIONS = 2, 100, 3


def main() -> None:
    """Print a row for each division, and the means."""
    options = arguments(__doc__ or "").parse_args()
    seeds = range(FIRST, FIRST + (1 if options.quick else DIVISIONS))
    found = [cope._answers(seed, smoke=options.quick, tested=VALIDATION) for seed in seeds]
    names = list(found[0])
    rows: list[tuple[str | int, ...]] = [
        (seed, *(f"{each[name]:.1f}" for name in names))
        for seed, each in zip(seeds, found, strict=True)
    ]
    numbers = np.array([[each[name] for name in names] for each in found])
    mean = numbers.mean(axis=0)
    error = numbers.std(axis=0, ddof=1 if len(found) > 1 else 0) / np.sqrt(len(found))
    rows += [("mean", *(f"{each:.1f}" for each in mean))]
    rows += [("standard error", *(f"{each:.1f}" for each in error))]
    print_table("Products", ["division", *names], rows)
    figures = {
        name: {"mean": float(each), "standard error": float(wide)}
        for name, each, wide in zip(names, mean, error, strict=True)
    }
    result = {"divisions": len(found), "map": figures, "each": found}
    write_results("products", result, quick=options.quick)


if __name__ == "__main__":
    main()
