"""Metrics of ranked lists whose answers are known to be relevant or not.

A ranked list is a row of booleans, best answer first; its order is final, so ties must be resolved
before (`rank_by_score` resolves them by gallery index). A list may be cut short: then ``total`` is
the number of relevant items that exist, and those not in the list count as missed. A query without
relevant items has the value nan and is left out of every mean; the mean over no query is nan.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import EvaluationError
from glocal.evaluate.checks import checked_ks, checked_numbers, checked_relevance


def rank_by_score(scores: ArrayLike) -> NDArray[np.int64]:
    """Rank the gallery of each query by descending score; ties are ordered by gallery index.

    Args:
        scores: ``(queries, n)`` real numbers, higher is better.

    Returns:
        ``(queries, n)`` int64 gallery indices, best first.

    Raises:
        EvaluationError: the shape differs, or a score is nan or infinite.
    """
    numbers = checked_numbers(scores, "scores", (None, None))
    return np.argsort(-numbers, axis=1, kind="stable").astype(np.int64)


def precisions_at(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Precision at the rank of each relevant item: the terms that average precisions sum.

    Args:
        ranks: ``(m,)`` ranks of the relevant items returned, counted from 1, ascending.

    Returns:
        ``(m,)`` float64 in (0, 1].
    """
    return np.arange(1, ranks.size + 1, dtype=np.float64) / ranks


def mean_of_answerable(values: NDArray[np.float64]) -> float:
    """The mean of the values that are not nan; nan if there are none."""
    answerable = values[~np.isnan(values)]
    return float(answerable.mean()) if answerable.size else float("nan")


def average_precision(relevant: ArrayLike, *, total: int | None = None) -> float:
    """Average precision: the mean, over all relevant items, of the precision at each one's rank.

    Args:
        relevant: ``(n,)`` booleans, best answer first.
        total: number of relevant items that exist; by default those in the list.

    Returns:
        In [0, 1]; nan if no relevant item exists.

    Raises:
        EvaluationError: the shape or type differs, or ``total`` is less than the list holds.

    Examples:
        >>> from glocal.evaluate import average_precision
        >>> average_precision([True, False, False, True])
        0.75
        >>> average_precision([True, False, False, True], total=3)
        0.5
    """
    row = checked_relevance(relevant, 1)
    counts = _totals(row[None], None if total is None else [total])
    if counts[0] == 0:
        return float("nan")
    return float(precisions_at(np.flatnonzero(row) + 1).sum() / counts[0])


def mean_average_precision(relevant: ArrayLike, *, totals: ArrayLike | None = None) -> float:
    """Mean of `average_precision` over the queries that have a relevant item.

    Args:
        relevant: ``(queries, n)`` booleans, best answer first.
        totals: ``(queries,)``, number of relevant items that exist; by default those in each list.

    Raises:
        EvaluationError: as `average_precision`.
    """
    rows = checked_relevance(relevant, 2)
    counts = _totals(rows, totals)
    each = [
        average_precision(row, total=int(count)) for row, count in zip(rows, counts, strict=True)
    ]
    return mean_of_answerable(np.asarray(each, dtype=np.float64))


def recall_at(relevant: ArrayLike, k: int, *, totals: ArrayLike | None = None) -> float:
    """Share of queries with at least one relevant item among their first k.

    This is recall@k as used in instance retrieval, metric learning and place recognition, not the
    share of all relevant items found.

    Args:
        relevant: ``(queries, n)`` booleans, best answer first.
        k: cut-off, at least 1.
        totals: ``(queries,)``, number of relevant items that exist; by default those in each list.

    Raises:
        EvaluationError: the shapes or types do not fit, or k is less than 1.

    Examples:
        >>> from glocal.evaluate import recall_at
        >>> relevant = [[False, True, False], [True, False, True]]
        >>> recall_at(relevant, 1), recall_at(relevant, 2)
        (0.5, 1.0)
    """
    (cutoff,) = checked_ks([k])
    rows = checked_relevance(relevant, 2)
    found = rows[:, :cutoff].any(axis=1).astype(np.float64)
    return mean_of_answerable(np.where(_totals(rows, totals) > 0, found, np.nan))


def precision_at(relevant: ArrayLike, k: int, *, totals: ArrayLike | None = None) -> float:
    """Mean share of relevant items among the first k; ranks beyond the list count as wrong.

    Args and errors are those of `recall_at`.
    """
    (cutoff,) = checked_ks([k])
    rows = checked_relevance(relevant, 2)
    precision = rows[:, :cutoff].sum(axis=1) / cutoff
    return mean_of_answerable(np.where(_totals(rows, totals) > 0, precision, np.nan))


def r_precision(relevant: ArrayLike, *, totals: ArrayLike | None = None) -> float:
    """Mean share of relevant items among the first R, where R is their number.

    Source: Musgrave et al., A Metric Learning Reality Check, ECCV 2020. Args and errors are those
    of `mean_average_precision`.
    """
    rows = checked_relevance(relevant, 2)
    counts = _totals(rows, totals)
    each = [
        row[:count].sum() / count if count else np.nan
        for row, count in zip(rows, counts, strict=True)
    ]
    return mean_of_answerable(np.asarray(each, dtype=np.float64))


def map_at_r(relevant: ArrayLike, *, totals: ArrayLike | None = None) -> float:
    """MAP@R: mean average precision up to rank R, with R as in `r_precision`.

    Unlike R-precision, it rewards relevant items early among the first R; unlike average
    precision, it ignores items beyond rank R. Source: Musgrave et al. 2020. Args and errors
    are those of `mean_average_precision`.
    """
    rows = checked_relevance(relevant, 2)
    counts = _totals(rows, totals)
    each = [
        precisions_at(np.flatnonzero(row[:count]) + 1).sum() / count if count else np.nan
        for row, count in zip(rows, counts, strict=True)
    ]
    return mean_of_answerable(np.asarray(each, dtype=np.float64))


def _totals(rows: NDArray[np.bool_], totals: ArrayLike | None) -> NDArray[np.int64]:
    held: NDArray[np.int64] = rows.sum(axis=1, dtype=np.int64)
    if totals is None:
        return held
    counts = np.asarray(totals)
    if counts.shape != held.shape or not np.issubdtype(counts.dtype, np.integer):
        raise EvaluationError(
            f"totals must be one whole number a query, shape {held.shape}; "
            f"got {counts.dtype} of shape {counts.shape}"
        )
    short = np.flatnonzero(counts < held)
    if short.size:
        query = int(short[0])
        raise EvaluationError(
            f"query {query} has {held[query]} relevant items in its list, "
            f"more than its total of {counts[query]}"
        )
    return counts.astype(np.int64)
