"""Factors of two images' feature maps together light the same part in both."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.explain.factorization import joint_concepts
from glocal.trials import Claim, Lab
from glocal.trials.explain.point_to_point_metric_explanation import contributions

CLAIM = Claim(
    measured="correlation of each factor's maps in two overlapping views of a photo, where they "
    "show the same, factorised together",
    baseline="the same with the factors of each view by itself, in the order of their strength",
    unit="correlation",
    comparison=">",
    margin=0.2,
    seeds=8,
)
_SIDE, _MOVED, _CELL, _FACTORS = 320, 96, 32, 4


def method(lab: Lab) -> float:
    """Factorise both views together."""
    return _agreement(*joint_concepts(_views(lab), _FACTORS))


def baseline(lab: Lab) -> float:
    """Factorise each view by itself."""
    return _agreement(*(joint_concepts([view], _FACTORS)[0] for view in _views(lab)))


def _views(lab: Lab) -> list[NDArray[np.float32]]:
    """What the cells of two views of one photo contribute; one view is moved by three cells."""
    photo = lab.photos(_SIDE)[lab.seed % 4]
    top = int(lab.random().integers(0, _MOVED + 1))
    photo = photo[:, ::-1] if lab.random().random() < 0.5 else photo
    rows = photo[top : top + _SIDE - _MOVED]
    views = (rows[:, : _SIDE - _MOVED], rows[:, _MOVED:])
    return [contributions(np.ascontiguousarray(view)) for view in views]


def _agreement(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Mean correlation of the factors' maps over the cells that both views show."""
    moved = _MOVED // _CELL
    one = first[:, moved:].reshape(-1, _FACTORS)
    two = second[:, : second.shape[1] - moved].reshape(-1, _FACTORS)
    found = []
    for a, b in zip(one.T, two.T, strict=True):
        spread = a.std() * b.std()
        found.append(float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread else 0.0)
    return float(np.mean(found))
