"""mAP of Grocery's photos against the bytes of their vectors, by each compressor of vectors.

    GLOCAL_GROCERY=... python benchmarks/dimensions.py [--seeds 5]

Vectors are the 1,280 pooled numbers of an EfficientNet-Lite0 at 128x128 pixels, stored as float16.
Planned is on the training images of a trial's division, measured on its validation images, as a
mean over divisions.
"""

from __future__ import annotations

import argparse

import numpy as np

from glocal.compress import make_vector_compressor
from glocal.registry import names
from glocal.trials.lab import Lab
from glocal.trials.trunk_vectors import spaces, validation_ap
from glocal.trials.vectors import unit

DIMS = (32, 64, 128, 256, 512)


def main() -> None:
    """Print a row for each compressor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="divisions that are averaged")
    given = parser.parse_args()
    found: dict[str, list[list[float]]] = {}
    whole = []
    for seed in range(given.seeds):
        at = spaces(Lab(seed), "lite0")
        train, held = at.train["lite0"], at.validation["lite0"]
        whole.append(validation_ap(at, held, held))
        lot = np.random.default_rng(seed).permutation(train.shape[1])
        rows = {"random": [unit(held[:, lot[:dim]]) for dim in DIMS]}
        for name in names("compressor", trait="vectors"):
            made = make_vector_compressor(name)
            rows[name] = [made.plan(train, dim).apply(held) for dim in DIMS]
        for name, short in rows.items():
            found.setdefault(name, []).append([validation_ap(at, each, each) for each in short])
    print(f"all {train.shape[1]} numbers, {2 * train.shape[1]} bytes: {np.mean(whole):.1f} % mAP")
    print("numbers   " + "".join(f"{dim:8d}" for dim in DIMS))
    print("bytes     " + "".join(f"{2 * dim:8d}" for dim in DIMS))
    for name, measured in found.items():
        print(f"{name:10s}" + "".join(f"{each:8.1f}" for each in np.mean(measured, axis=0)))


if __name__ == "__main__":
    main()
