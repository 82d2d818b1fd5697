"""Factors of two images' feature maps together light the detail that both have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.explain.factorization import joint_concepts
from glocal.trials import Claim, Lab
from glocal.trials.explain.point_to_point_metric_explanation import (
    contributions,
    pair_with_shared_detail,
)

CLAIM = Claim(
    measured="share of a shared detail's cells above others in the second photo, by the factor "
    "that fits it best in the first",
    baseline="the same by how much each cell adds to the vector",
    unit="per cent (area under the curve; 50 is chance)",
    comparison=">",
    margin=5.0,
    seeds=10,
)


def method(lab: Lab) -> float:
    """The factor is chosen by the first photo and looked at in the second."""
    query, hit, places = pair_with_shared_detail(lab)
    maps = joint_concepts([contributions(query), contributions(hit)], 6)
    inside = [_cells(place, each.shape[:2]) for place, each in zip(places, maps, strict=True)]
    fits = [_area(maps[0][..., k], inside[0]) for k in range(maps[0].shape[2])]
    return _area(maps[1][..., int(np.argmax(fits))], inside[1])


def baseline(lab: Lab) -> float:
    """Lengths of the cells' contributions."""
    _, hit, places = pair_with_shared_detail(lab)
    strength = np.linalg.norm(contributions(hit), axis=2)
    return _area(strength, _cells(places[1], strength.shape))


def _cells(place: tuple[float, float, float], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Cells whose centres are in the square of a centre x, y and side."""
    x, y, side = place
    rows = (np.arange(shape[0]) + 0.5) / shape[0]
    columns = (np.arange(shape[1]) + 0.5) / shape[1]
    return np.outer(np.abs(rows - y) < side / 2, np.abs(columns - x) < side / 2)


def _area(values: NDArray[np.floating], inside: NDArray[np.bool_]) -> float:
    """Share of pairs of a cell inside and one outside in which the one inside is higher."""
    one, two = values[inside][:, None], values[~inside][None]
    return 100 * float(((one > two) + 0.5 * (one == two)).mean())
