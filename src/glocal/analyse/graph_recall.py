"""How much of the exact answer an HNSW graph finds, and what that depends on.

The same vectors are inserted in several orders, and each graph is asked the same queries: its
recall, the distances it computed and the spread over queries are compared with exact search. The
local intrinsic dimension tells whether the vectors are hard, and whether hard queries are those
that are missed.

Sources: Elliott and Clark, The Impacts of Data, Ordering, and Intrinsic Dimensionality on Recall in
Hierarchical Navigable Small Worlds, ICTIR 2024; Malkov and Yashunin, Efficient and robust
approximate nearest neighbor search using Hierarchical Navigable Small World graphs, 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.analyse.exact import nearest
from glocal.analyse.intrinsic_dimension import local_intrinsic_dimensions
from glocal.errors import AnalysisError

Order = Literal["as given", "random", "dimension ascending", "dimension descending", "by group"]
Number = Literal["f32", "f16", "i8"]


@dataclass(frozen=True, slots=True)
class Insertion:
    """One graph, and what it found.

    Attributes:
        order: in which the vectors were inserted.
        recall: share of the ``k`` exact nearest that were found, on average over the queries.
        worst: the share of the query with the least.
        distances: computed for a query, on average. An exact search computes ``n``.
        correlation: of a query's recall with the local intrinsic dimension at its nearest vector
            (Spearman's); NaN where all queries have the same recall.
    """

    order: Order
    recall: float
    worst: float
    distances: float
    correlation: float


@dataclass(frozen=True, slots=True)
class GraphStudy:
    """What was measured.

    Attributes:
        vectors: how many.
        queries: how many.
        k: how many nearest were asked for.
        dimension: median local intrinsic dimension of the vectors.
        dimension_90: the dimension that nine in ten stay below.
        insertions: one for each order.
    """

    vectors: int
    queries: int
    k: int
    dimension: float
    dimension_90: float
    insertions: tuple[Insertion, ...]

    @property
    def spread(self) -> float:
        """By how much the recall differs between the best order and the worst."""
        found = [one.recall for one in self.insertions]
        return max(found) - min(found)


def study_graph(
    vectors: ArrayLike,
    queries: ArrayLike,
    *,
    k: int = 10,
    groups: ArrayLike | None = None,
    orders: Sequence[Order] = (
        "as given",
        "random",
        "dimension ascending",
        "dimension descending",
    ),
    connectivity: int = 16,
    expansion_add: int = 128,
    expansion_search: int = 64,
    number: Number = "i8",
    neighbours: int = 100,
    seed: int = 0,
) -> GraphStudy:
    """Measure the recall of HNSW graphs against exact search.

    The settings' defaults are those of glocal's own store. One thread builds each graph, so that
    the order is really the order.

    Args:
        vectors: ``(n, d)`` of unit length.
        queries: ``(q, d)`` of unit length; no vectors of the graph, or each finds itself.
        k: how many nearest count.
        groups: ``(n,)`` of anything comparable, such as folders or classes: with them, the order
            ``by group`` inserts one group after another.
        orders: the orders of insertion to compare.
        connectivity: links of a vector at each level.
        expansion_add: candidates kept while inserting.
        expansion_search: candidates kept while searching, at least ``k``.
        number: how the graph holds its vectors. Found vectors count whatever their order, as in
            glocal, which compares them again in float16.
        neighbours: from which the local intrinsic dimension is estimated; fewer where there are
            not so many vectors.
        seed: of the random order.

    Raises:
        AnalysisError: Vectors and queries do not fit each other, there are too few, or the order
            ``by group`` is wanted without groups.
    """
    rows, asked = np.asarray(vectors, np.float32), np.asarray(queries, np.float32)
    if rows.ndim != 2 or asked.ndim != 2 or rows.shape[1] != asked.shape[1] or not len(asked):
        raise AnalysisError(
            f"vectors {rows.shape} and queries {asked.shape} do not fit each other; "
            "give rows (n, d) and (q, d)"
        )
    if not 1 <= k < len(rows) or len(rows) < 5:
        raise AnalysisError(
            f"{k} nearest of {len(rows)} vectors say nothing; give at least 5 vectors, more than k"
        )
    if "by group" in orders and (groups is None or np.shape(groups) != (len(rows),)):
        raise AnalysisError(
            f"the order by group needs a group for each of the {len(rows)} vectors; pass groups"
        )
    dimensions = local_intrinsic_dimensions(rows, neighbours=min(neighbours, len(rows) - 1))
    finite = np.where(np.isfinite(dimensions), dimensions, np.nanmax(dimensions))
    _, exact = nearest(rows, asked, k)
    random = np.random.default_rng(seed).permutation(len(rows))
    insertions = []
    for order in orders:
        if order == "as given":
            sequence = np.arange(len(rows))
        elif order == "random":
            sequence = random
        elif order == "by group":
            sequence = random[np.argsort(np.asarray(groups)[random], kind="stable")]
        else:
            sequence = np.argsort(finite, kind="stable")
            sequence = sequence if order == "dimension ascending" else sequence[::-1]
        shares, distances = _asked(
            rows, sequence, asked, exact, connectivity, expansion_add, expansion_search, number
        )
        insertions.append(
            Insertion(
                order,
                float(shares.mean()),
                float(shares.min()),
                distances,
                _rank_correlation(shares, finite[exact[:, 0]]),
            )
        )
    return GraphStudy(
        len(rows),
        len(asked),
        k,
        float(np.nanmedian(finite)),
        float(np.nanpercentile(finite, 90)),
        tuple(insertions),
    )


def _asked(
    rows: NDArray[np.float32],
    sequence: NDArray[np.intp],
    queries: NDArray[np.float32],
    exact: NDArray[np.intp],
    connectivity: int,
    expansion_add: int,
    expansion_search: int,
    number: Number,
) -> tuple[NDArray[np.float64], float]:
    """The recall of each query, and the mean count of distances, of one graph."""
    from usearch.index import Index  # takes a tenth of a second

    k = exact.shape[1]
    index = Index(
        ndim=rows.shape[1],
        metric="ip",
        dtype=number,
        connectivity=connectivity,
        expansion_add=expansion_add,
        expansion_search=max(expansion_search, k),
    )
    index.add(sequence.astype(np.uint64), rows[sequence], threads=1)
    shares, computed = np.empty(len(queries)), 0
    for place, query in enumerate(queries):
        found = index.search(query, k, threads=1)
        computed += found.computed_distances
        shares[place] = len(np.intersect1d(found.keys.astype(np.intp), exact[place])) / k
    return shares, computed / len(queries)


def _rank_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's correlation, equal values at their mean rank."""

    def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
        _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
        return (np.cumsum(counts) - (counts + 1) / 2)[which]

    a, b = ranks(first), ranks(second)
    if a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])
