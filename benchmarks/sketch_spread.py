"""How much a sketch's map trusts what it misses: chosen on solids of their own.

    python benchmarks/sketch_spread.py [--quick]

Renders 96 solids that the trial of `freeview-sketch-retrieval` has not, and line drawings of them;
learns from 48 and searches among 24 others, ten times. Printed for each number of mean eigenvalues
that are added to the covariance of the view (see `glocal.query.freeview`): the share of drawings
whose own photo is first of 144, and its standard error. The most regular within one standard error
of the best is taken.
"""

from __future__ import annotations

import math

import numpy as np

from glocal.query import freeview
from glocal.trials.drawn_solids import VIEWS, solids
from measure import arguments, print_table, write_results

SPREADS = (1, 2, 3, 4, 5, 6, 8, 10, 15)


def main() -> None:
    """Render, learn, search, print and keep."""
    options = arguments(__doc__ or "").parse_args()
    things, learnt, tested, times = (16, 8, 4, 2) if options.quick else (96, 48, 24, 10)
    made = solids(things, seed=1008)
    rows = []
    for spread in SPREADS:
        freeview._VIEW_SPREAD = spread
        first = []
        for seed in range(times):
            order = np.random.default_rng(seed).permutation(things)
            known, others = order[:learnt], order[learnt : learnt + tested]
            found = freeview.FreeviewSketch().fit(
                made.sketches[known].reshape(learnt * VIEWS, -1),
                made.photos[known].reshape(learnt * VIEWS, -1),
                np.arange(learnt * VIEWS) // VIEWS,
            )
            queries = found.queries(made.sketches[others].reshape(tested * VIEWS, -1))
            best = (queries @ made.photos[others].reshape(tested * VIEWS, -1).T).argmax(axis=1)
            first.append(100 * float((best == np.arange(len(best))).mean()))
        error = float(np.std(first) / math.sqrt(times))
        rows.append((spread, float(np.mean(first)), error))
    print_table("Sketches", ["spread", "own photo first, %", "standard error"], rows)
    figures = [dict(zip(("spread", "first", "standard error"), row, strict=True)) for row in rows]
    write_results("sketch_spread", {"spreads": figures}, quick=options.quick)


if __name__ == "__main__":
    main()
