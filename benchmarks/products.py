"""What a product's page finds among videos and streams, in parts that the trial of COPE sums up.

    GLOCAL_GROCERY=DATASET python benchmarks/products.py

The task is that of the trial (`glocal.trials.query.cope`), asked on the validation photos of some
divisions that the trial has not. Prints mAP by the trained network, without the text, and by frozen
vectors, and by how much the network is better among videos, among streams, and for the 20 products
that it was not trained on.
"""

from __future__ import annotations

import argparse

import numpy as np

from glocal.trials.query import cope

VALIDATION, FIRST = 2, 100


def main() -> None:
    """Print a row for each division, and the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=3, help="divisions of the photos")
    args = parser.parse_args()
    rows: list[list[float]] = []
    for seed in range(FIRST, FIRST + args.seeds):
        found = cope._answers(seed, smoke=False, tested=VALIDATION)
        if not rows:
            print("".join(f"{name:>14}" for name in found))
        rows.append(list(found.values()))
        print("".join(f"{number:14.1f}" for number in rows[-1]), flush=True)
    print("".join(f"{number:14.1f}" for number in np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()
