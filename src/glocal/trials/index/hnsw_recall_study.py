"""The recall of the study is that of a loop over graphs and queries; its dimensions are true."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.analyse.graph_recall import GraphStudy, Order, study_graph
from glocal.analyse.intrinsic_dimension import local_intrinsic_dimensions
from glocal.trials import Claim, Lab
from glocal.trials.vectors import Floats, unit

CLAIM = Claim(
    measured="recall@10 of a weak graph, after random order and both orders of local dimension",
    baseline="the same, by a loop over graphs, queries and all vectors",
    unit="recall",
    comparison="=",
    margin=1e-9,
    seeds=3,
)
_ORDERS: tuple[Order, ...] = ("random", "dimension ascending", "dimension descending")
_COUNT, _QUERIES, _BEST, _NEIGHBOURS = 1500, 60, 10, 100
_CONNECTIVITY, _EXPANSION_ADD, _EXPANSION = 4, 16, 10


def method(lab: Lab) -> NDArray[np.float64]:
    """The tool, on vectors of two dimensions mixed; and on vectors of one known dimension each."""
    rows, queries = _mixed(lab.random())
    study = _study(rows, queries, lab.seed)
    if lab.seed == 0 and not lab.smoke:
        easy, hard = _check_dimensions(lab)
        lab.check("recall at 4 dimensions above that at 24, points", easy - hard, ">", 5)
        lab.check("recall between the best and the worst order, points", 100 * study.spread, ">", 0)
    return np.array([one.recall for one in study.insertions])


def baseline(lab: Lab) -> NDArray[np.float64]:
    """Build each graph, ask each query, and compare with every vector, one by one."""
    from usearch.index import Index

    rows, queries = _mixed(lab.random())
    dimensions = local_intrinsic_dimensions(rows, neighbours=_NEIGHBOURS)
    ascending = sorted(range(_COUNT), key=lambda at: dimensions[at])
    orders = {
        "random": np.random.default_rng(lab.seed).permutation(_COUNT).tolist(),
        "dimension ascending": ascending,
        "dimension descending": ascending[::-1],
    }
    recalls = []
    for order in _ORDERS:
        graph = Index(
            ndim=rows.shape[1],
            metric="ip",
            dtype="f32",
            connectivity=_CONNECTIVITY,
            expansion_add=_EXPANSION_ADD,
            expansion_search=_EXPANSION,
        )
        sequence = np.array(orders[order])
        # One call: each call draws the levels of its vectors anew.
        graph.add(sequence, rows[sequence], threads=1)
        shares = []
        for query in queries:
            best = sorted(range(_COUNT), key=(-(rows @ query)).tolist().__getitem__)[:_BEST]
            found = graph.search(query, _BEST, threads=1).keys.tolist()
            shares.append(len(set(found) & set(best)) / _BEST)
        recalls.append(sum(shares) / len(shares))
    return np.array(recalls)


def _study(rows: Floats, queries: Floats, seed: int) -> GraphStudy:
    return study_graph(
        rows,
        queries,
        k=_BEST,
        orders=_ORDERS,
        connectivity=_CONNECTIVITY,
        expansion_add=_EXPANSION_ADD,
        expansion_search=_EXPANSION,
        number="f32",
        neighbours=_NEIGHBOURS,
        seed=seed,
    )


def _check_dimensions(lab: Lab) -> tuple[float, float]:
    """Recalls in per cent at 4 and 24 dimensions, whose estimates have to be right."""
    recalls = []
    for true in (4, 24):
        rows = _of_dimension(lab.random(), true, _COUNT + _QUERIES)
        found = float(np.median(local_intrinsic_dimensions(rows, neighbours=_NEIGHBOURS)))
        lab.check(f"estimate at {true} dimensions, in parts", found / true, "<", 1.25)
        # Where vectors are few for their dimension, none is near: estimates fall short.
        lab.check(f"estimate at {true} dimensions, in parts, again", found / true, ">", 0.6)
        study = _study(rows[:_COUNT], rows[_COUNT:], lab.seed)
        recalls.append(100 * float(np.mean([one.recall for one in study.insertions])))
    return recalls[0], recalls[1]


def _mixed(random: np.random.Generator) -> tuple[Floats, Floats]:
    """Vectors, half of 4 dimensions and half of 24; a fifteenth of them as queries."""
    half = (_COUNT + _QUERIES) // 2
    every = np.concatenate([_of_dimension(random, true, half) for true in (4, 24)])
    every = every[random.permutation(len(every))]
    return every[:_COUNT], every[_COUNT:]


def _of_dimension(random: np.random.Generator, dimension: int, count: int) -> Floats:
    """Unit vectors around a common one that vary in so many directions of 48."""
    spread = random.uniform(-0.5, 0.5, (count, dimension)) / np.sqrt(dimension)
    directions = np.linalg.qr(random.normal(size=(48, dimension + 1)))[0].T
    return unit((directions[0] + spread @ directions[1:]).astype(np.float32))
