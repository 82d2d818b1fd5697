"""Recall of a graph falls with the intrinsic dimension, which the study reports, in any order."""

from __future__ import annotations

import numpy as np

from glocal.analyse import study_graph
from glocal.analyse.graph_recall import GraphStudy
from glocal.trials import Claim, Lab
from glocal.trials.vectors import Floats, unit

CLAIM = Claim(
    measured="recall@10 of vectors of 4 intrinsic dimensions among 64, the mean over four orders",
    baseline="recall@10 of vectors of 24 intrinsic dimensions",
    unit="share",
    comparison=">",
    margin=0.02,
    seeds=4,
)
_COUNT, _QUERIES = 3000, 150
_LOW, _HIGH = 4, 24


def method(lab: Lab) -> float:
    """Study few dimensions; then how far orders of insertion shift recall in many."""
    found = _study(lab, _LOW)
    many = _study(lab, _HIGH)
    lab.check("median local intrinsic dimension of 4", abs(found.dimension - _LOW), "<", 1.5)
    lab.check("dimension of 24, in parts of that of 4", many.dimension / found.dimension, ">", 2)
    lab.check("orders of insertion compared", len(many.insertions), "=", 4)
    lab.check("recall of the best order less that of the worst", many.spread, ">", 0.005)
    widest = max(each.distances for each in many.insertions)
    lab.check("distances of a search, in parts of all", widest / _COUNT, "<", 0.5)
    return _recall(found)


def baseline(lab: Lab) -> float:
    """Study many dimensions."""
    return _recall(_study(lab, _HIGH))


def _study(lab: Lab, dimensions: int) -> GraphStudy:
    rows = _vectors(lab, dimensions)
    return study_graph(
        rows[:_COUNT], rows[_COUNT:], connectivity=8, expansion_add=32, expansion_search=16,
        number="f32", seed=lab.seed,
    )  # fmt: skip


def _recall(study: GraphStudy) -> float:
    return float(np.mean([each.recall for each in study.insertions]))


def _vectors(lab: Lab, dimensions: int) -> Floats:
    """Unit vectors that fill a sphere of so many dimensions, turned into 64 at random."""
    random = lab.random()
    turned = np.linalg.qr(random.standard_normal((64, dimensions + 1)))[0]
    found = random.standard_normal((_COUNT + _QUERIES, dimensions + 1)) @ turned.T
    return unit(found.astype(np.float32))
