"""Five upgrades with classes growing from 40 to 81: compatibility matrices, AC and AA.

    GLOCAL_GROCERY=grocery/dataset python benchmarks/compatible_training.py

Photos of Grocery on a frozen trunk, as in the trials `compat.cores` and `compat.cl2r`. CoReS trains
six models anew on more and more photos; CL2R learns the new classes of each task with a memory of
two photos of each older class. Each is measured on the photos of the 40 classes that all models
know; row i, column j of a matrix is the mAP of queries by model i in the gallery of model j.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.learn.objectives.fixed_polytope import FixedPolytope
from glocal.learn.objectives.softmax import NormalisedSoftmax
from glocal.trials import Lab
from glocal.trials.compat import cl2r, cores
from glocal.trials.compatible import average_accuracy, average_compatibility

_DIM = 128


def figures(matrix: NDArray[np.float64]) -> dict[str, Any]:
    """The matrix and what is computed from it."""
    count = len(matrix)
    steps = [bool(matrix[i + 1, i] > matrix[i, i]) for i in range(count - 1)]
    return {
        "matrix": matrix.round(2).tolist(),
        "AC": round(average_compatibility(matrix), 1),
        "AA": round(average_accuracy(matrix), 2),
        "updates that meet the criterion": sum(steps),
        "pairs that meet it": sum(
            bool(matrix[i, j] > matrix[j, j]) for i in range(count) for j in range(i)
        ),
        "last queries in the first gallery": round(float(matrix[-1, 0]), 2),
    }


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    results = Path(__file__).parent / "results" / "compatible_training.json"
    parser.add_argument("--output", type=Path, default=results)
    given = parser.parse_args()
    torch.set_num_threads(1)
    chains: dict[str, Callable[[Lab], Any]] = {
        "CoReS": lambda lab: cores.chain(lab, lambda n: FixedPolytope(dim=_DIM, classes=n)),
        "learned class weights": lambda lab: cores.chain(
            lab, lambda n: NormalisedSoftmax(dim=_DIM, classes=n)
        ),
        "CL2R": lambda lab: cl2r._chain(lab, tied=True),
        "replay of the same memory": lambda lab: cl2r._chain(lab, tied=False),
    }
    found: dict[str, Any] = {name: [] for name in chains}
    for seed in range(given.seeds):
        for name, chain in chains.items():
            found[name].append(figures(chain(Lab(seed))))
            own = found[name][-1]
            print(f"seed {seed}, {name}: {own}", flush=True)
    found["seconds of the processor"] = round(time.process_time(), 1)
    given.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
