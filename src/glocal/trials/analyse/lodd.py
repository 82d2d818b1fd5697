"""Directions to neighbours find the borders of clusters of unequal density.

Three balls of three dimensions lie in sixteen, with a little noise; each has four times as many
points as the next. The outermost tenth of each radius is its border: a quarter of all points.
Distances alone take the thin ball for border, so the baseline is the local outlier factor (Breunig
et al., 2000), which divides distances by those around the neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.analyse.boundary import boundary_points, direction_dispersion
from glocal.evaluate.ranking_metrics import mean_average_precision, rank_by_score
from glocal.trials import Claim, Lab

CLAIM = Claim(
    measured="average precision of border points by the dispersion of directions, 20 neighbours",
    baseline="by the local outlier factor, 20 neighbours",
    unit="average precision",
    comparison=">",
    margin=0.05,
    seeds=6,
)
_POINTS, _INSIDE, _DIM, _NOISE, _NEIGHBOURS = (1200, 300, 75), 3, 16, 0.01, 20
_BORDER = 0.9


def method(lab: Lab) -> float:
    """Rank by the dispersion, lowest first."""
    rows, border = _balls(lab)
    share = float(border.mean())
    called = boundary_points(rows, share=share, neighbours=_NEIGHBOURS)
    lab.check("right among as many as there are", float(border[called].mean()), ">", 2 * share)
    return _precision(-direction_dispersion(rows, neighbours=_NEIGHBOURS), border)


def baseline(lab: Lab) -> float:
    """Rank by the local outlier factor, highest first."""
    from sklearn.neighbors import LocalOutlierFactor

    rows, border = _balls(lab)
    found = LocalOutlierFactor(_NEIGHBOURS).fit(rows)
    return _precision(-found.negative_outlier_factor_, border)


def _balls(lab: Lab) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Points ``(n, 16)``, and which of them are border."""
    random = lab.random()
    axes = np.linalg.qr(random.normal(size=(_DIM, _INSIDE)))[0]
    rows, border = [], []
    for number, count in enumerate(_POINTS):
        outward = random.normal(size=(count, _INSIDE))
        outward /= np.linalg.norm(outward, axis=1, keepdims=True)
        radius = random.random((count, 1)) ** (1 / _INSIDE)
        rows.append(outward * radius + 4 * np.eye(_INSIDE)[number])
        border.append(radius[:, 0] > _BORDER)
    made = np.concatenate(rows) @ axes.T
    return made + _NOISE * random.normal(size=made.shape), np.concatenate(border)


def _precision(scores: NDArray[np.float64], border: NDArray[np.bool_]) -> float:
    return mean_average_precision(border[None, rank_by_score(scores[None])[0]])
