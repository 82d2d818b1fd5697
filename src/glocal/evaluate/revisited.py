"""Revisited Oxford and Paris: easy, medium and hard setups, with junk images ignored.

Radenović, Iscen, Tolias, Avrithis, Chum: Revisiting Oxford and Paris: Large-Scale Image Retrieval
Benchmarking, CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.evaluate.checks import checked_ks, checked_ranks
from glocal.evaluate.ground_truth import GroundTruth
from glocal.evaluate.ranking_metrics import mean_of_answerable

SETUPS = {
    "easy": (("easy",), ("junk", "hard")),
    "medium": (("easy", "hard"), ("junk",)),
    "hard": (("hard",), ("junk", "easy")),
}
"""For each setup, the lists of right answers and of ignored images."""


@dataclass(frozen=True, slots=True, eq=False)
class SetupResult:
    """Result of one setup; means are over the queries that have a right answer in it.

    Attributes:
        mean_ap: mean average precision, in [0, 1].
        mean_precision_at: mP@k for each k, in [0, 1].
        queries: number of queries that the means are over.
        per_query_ap: ``(q,)`` float64; nan for a query with no right answer in this setup.
        per_query_precision: ``(q, number of k)`` float64, columns by ascending k; nan for the same
            queries.
    """

    mean_ap: float
    mean_precision_at: dict[int, float]
    queries: int
    per_query_ap: NDArray[np.float64]
    per_query_precision: NDArray[np.float64]


def evaluate_revisited(
    ranks: ArrayLike, ground_truth: GroundTruth, *, ks: Iterable[int] = (1, 5, 10)
) -> dict[str, SetupResult]:
    """Evaluate ranked lists by the three setups of the revisited protocol.

    Ignored images are removed from a list before anything is counted. Average precision is the
    area under the precision-recall curve by trapezoids, as in the Oxford buildings protocol, which
    is a little less than the mean of precisions. P@k counts the first
    ``min(k, rank of the last right answer)``, so a query with few right answers can reach 1.

    Lists may be cut short. A missing right answer then adds nothing to average precision, and since
    its rank is beyond the list, P@k counts all k: both are lower bounds of the full list's values.

    Args:
        ranks: ``(q, length)`` integers, one row per query, best first: indices of database images,
            or -1 if nothing was returned. (The published code has one column per query.)
        ground_truth: ground truth of the same queries and database, in the same order.
        ks: cut-offs of mP@k.

    Returns:
        The results for ``"easy"``, ``"medium"`` and ``"hard"``.

    Raises:
        EvaluationError: the ranks do not fit the ground truth, or name an image twice.
    """
    cutoffs = checked_ks(ks)
    queries = len(ground_truth.query_names)
    lists = checked_ranks(ranks, queries, len(ground_truth.database_names))
    results = {}
    for setup, (right_kinds, ignored_kinds) in SETUPS.items():
        aps = np.full(queries, np.nan)
        precisions = np.full((queries, len(cutoffs)), np.nan)
        for query, ranked in enumerate(lists):
            right = np.concatenate([getattr(ground_truth, kind)[query] for kind in right_kinds])
            ignored = np.concatenate([getattr(ground_truth, kind)[query] for kind in ignored_kinds])
            if right.size:
                positions = _positions(ranked, right, ignored)
                aps[query] = _trapezoidal_ap(positions, right.size)
                complete = positions.size == np.unique(right).size
                for column, k in enumerate(cutoffs):
                    depth = min(k, int(positions[-1]) + 1) if complete else k
                    precisions[query, column] = (positions < depth).sum() / depth
        results[setup] = SetupResult(
            mean_ap=mean_of_answerable(aps),
            mean_precision_at={
                k: mean_of_answerable(precisions[:, column]) for column, k in enumerate(cutoffs)
            },
            queries=int((~np.isnan(aps)).sum()),
            per_query_ap=aps,
            per_query_precision=precisions,
        )
    return results


def _positions(
    ranked: NDArray[np.int64], right: NDArray[np.int64], ignored: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Positions of the right answers, counted from 0, after removing the ignored images."""
    at = np.flatnonzero(np.isin(ranked, right))
    ignored_at = np.flatnonzero(np.isin(ranked, ignored))
    return at - np.searchsorted(ignored_at, at)


def _trapezoidal_ap(positions: NDArray[np.int64], total: int) -> float:
    """Area under precision over recall: each right answer adds a trapezoid of width 1/total.

    The sides of the trapezoid are the precisions just before the answer and with it; before the
    first image, precision is 1.
    """
    found = np.arange(positions.size, dtype=np.float64)
    before = np.where(positions == 0, 1.0, found / np.maximum(positions, 1))
    with_it = (found + 1) / (positions + 1)
    return float((before + with_it).sum() / 2 / total)
