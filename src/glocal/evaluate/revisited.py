"""Revisited Oxford and Paris: easy, medium and hard, with junk taken out of the ranking.

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
"""For each setup, which lists are right answers and which are ignored."""


@dataclass(frozen=True, slots=True, eq=False)
class SetupResult:
    """One setup's numbers; means are over the queries that have a right answer in it.

    Attributes:
        mean_ap: mean average precision, in [0, 1].
        mean_precision_at: for each k mP@k, in [0, 1].
        queries: how many queries the means are over.
        per_query_ap: ``(q,)`` float64; nan for a query with no right answer in this setup.
        per_query_precision: ``(q, number of k)`` float64, columns by ascending k; nan likewise.
    """

    mean_ap: float
    mean_precision_at: dict[int, float]
    queries: int
    per_query_ap: NDArray[np.float64]
    per_query_precision: NDArray[np.float64]


def evaluate_revisited(
    ranks: ArrayLike, ground_truth: GroundTruth, *, ks: Iterable[int] = (1, 5, 10)
) -> dict[str, SetupResult]:
    """Judge ranked lists by the three setups of the revisited protocol.

    Ignored images are taken out of a list before anything is counted. Average precision is the
    area under the precision-recall curve by trapezoids, as the Oxford buildings protocol has it,
    which is a little less than the plain mean of precisions. P@k looks at the first
    ``min(k, rank of the last right answer)``, so a query with few right answers can reach 1.

    Lists may stop early. A right answer that is missing then adds nothing to average precision,
    and as its rank is beyond the list, P@k looks at all k: both are what the full list would have
    given at least.

    Args:
        ranks: ``(q, length)`` whole numbers, one row a query, best first: indices of database
            images, or -1 where nothing was returned. (The published code has one column a query.)
        ground_truth: of the same queries and database, in the same order.
        ks: the cut-offs of mP@k.

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
                    looked_at = min(k, int(positions[-1]) + 1) if complete else k
                    precisions[query, column] = (positions < looked_at).sum() / looked_at
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
    """Where the right answers stand, counted from 0, once the ignored images are gone."""
    at = np.flatnonzero(np.isin(ranked, right))
    ignored_at = np.flatnonzero(np.isin(ranked, ignored))
    return at - np.searchsorted(ignored_at, at)


def _trapezoidal_ap(positions: NDArray[np.int64], total: int) -> float:
    """Area under precision over recall: each right answer adds a step of 1/total.

    The step's sides are the precision just before the answer and the one with it; before the very
    first image precision counts as 1.
    """
    found = np.arange(positions.size, dtype=np.float64)
    before = np.where(positions == 0, 1.0, found / np.maximum(positions, 1))
    with_it = (found + 1) / (positions + 1)
    return float((before + with_it).sum() / 2 / total)
