"""Retrieval in a labelled gallery: an answer is right if it has the label of the query."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import EvaluationError
from glocal.evaluate.checks import checked_ks, checked_numbers
from glocal.evaluate.ranking_metrics import mean_of_answerable, precisions_at

BLOCK_BYTES = 64 << 20
"""Memory for similarities: queries are processed in blocks that fit."""

TIE = 8
"""Similarities that differ by at most this many rounding steps are equal.

Matrix products round differently in different columns: the similarities of identical vectors
differed by up to one step. Without a margin, chance would order what the model cannot distinguish.
"""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledResult:
    """Result of retrieval by label; means are over the queries that have a right answer.

    Attributes:
        recall_at: for each k, the share of queries with a right answer among the first k.
        mean_ap: mean average precision over the whole gallery.
        r_precision: mean share of right answers among the first R, where R is their number.
        map_at_r: mean average precision at R (Musgrave et al. 2020).
        queries: number of queries that the means are over.
        unanswerable: number of queries left out because no gallery item has their label.
        per_query_ap: ``(q,)`` float64, for all queries; nan for those left out.
    """

    recall_at: dict[int, float]
    mean_ap: float
    r_precision: float
    map_at_r: float
    queries: int
    unanswerable: int
    per_query_ap: NDArray[np.float64]


def evaluate_labelled(
    query_vectors: ArrayLike,
    query_labels: ArrayLike,
    gallery_vectors: ArrayLike,
    gallery_labels: ArrayLike,
    *,
    exclude_self: bool = False,
    ks: Iterable[int] = (1, 5, 10),
) -> LabelledResult:
    """Rank the gallery for every query by dot product and compare the labels.

    Every gallery item is ranked exactly. If a right and a wrong answer have the same similarity,
    the wrong one comes first: vectors that have collapsed to one point get a low score in any order
    of the gallery. Similarities are computed in the precision of the vectors (float32 or float64),
    in blocks, so memory stays bounded; similarities that differ by no more than rounding (`TIE`,
    about 1e-6 for unit vectors in float32) are equal.

    Args:
        query_vectors: ``(q, d)`` real numbers; unit rows make the dot product the cosine.
        query_labels: ``(q,)`` whole numbers or strings.
        gallery_vectors: ``(n, d)``.
        gallery_labels: ``(n,)``, of the same kind as the query labels.
        exclude_self: whether query i is gallery item i, which is left out of its own ranking
            (leave-one-out); both sides must then be the same set.
        ks: cut-offs of recall.

    Raises:
        EvaluationError: shapes do not fit, a label is missing, a number is nan or infinite, or
            ``exclude_self`` is used with two different sets.

    Source of R-precision and MAP@R: Musgrave et al., A Metric Learning Reality Check, ECCV 2020.

    Examples:
        >>> import numpy as np
        >>> from glocal.evaluate import evaluate_labelled
        >>> vectors = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> labels = ["cup", "cup", "box"]
        >>> result = evaluate_labelled(vectors, labels, vectors, labels, exclude_self=True, ks=[1])
        >>> result.queries, result.recall_at
        (2, {1: 1.0})
    """
    cutoffs = checked_ks(ks)
    gallery = checked_numbers(gallery_vectors, "gallery vectors", (None, None))
    queries = checked_numbers(query_vectors, "query vectors", (None, gallery.shape[1]))
    kind = np.result_type(queries, gallery)
    queries, gallery = queries.astype(kind, copy=False), gallery.astype(kind, copy=False)
    query_codes, gallery_codes = _label_codes(
        _labels(query_labels, len(queries), "query"),
        _labels(gallery_labels, len(gallery), "gallery"),
    )
    if exclude_self and not (
        queries.shape == gallery.shape
        and np.array_equal(query_codes, gallery_codes)
        and np.array_equal(queries, gallery)
    ):
        raise EvaluationError(
            "exclude_self leaves gallery item i out for query i, but the queries are not the "
            "gallery; pass the same vectors and labels twice, or exclude_self=False"
        )

    order = np.argsort(gallery_codes, kind="stable")
    starts = np.searchsorted(gallery_codes[order], query_codes, side="left")
    ends = np.searchsorted(gallery_codes[order], query_codes, side="right")

    first_hit = np.full(len(queries), np.nan)
    ap = np.full(len(queries), np.nan)
    r_precision = np.full(len(queries), np.nan)
    ap_at_r = np.full(len(queries), np.nan)
    margins = TIE * np.finfo(kind).eps * _lengths(queries) * _lengths(gallery).max(initial=0.0)
    rows = max(1, BLOCK_BYTES // max(1, len(gallery) * gallery.itemsize))
    for begin in range(0, len(queries), rows):
        similarities = queries[begin : begin + rows] @ gallery.T
        for query, row in enumerate(similarities, start=begin):
            same_label = order[starts[query] : ends[query]]
            itself = query if exclude_self else None
            ranks = _right_ranks(row, same_label, itself, margins[query])
            total = ranks.size
            if total == 0:
                continue
            precisions = precisions_at(ranks)
            within_r = int(np.searchsorted(ranks, total, side="right"))
            first_hit[query] = ranks[0]
            ap[query] = precisions.sum() / total
            r_precision[query] = within_r / total
            ap_at_r[query] = precisions[:within_r].sum() / total

    answerable = first_hit[~np.isnan(first_hit)]
    return LabelledResult(
        recall_at={
            k: float((answerable <= k).mean()) if answerable.size else float("nan") for k in cutoffs
        },
        mean_ap=mean_of_answerable(ap),
        r_precision=mean_of_answerable(r_precision),
        map_at_r=mean_of_answerable(ap_at_r),
        queries=int(answerable.size),
        unanswerable=len(queries) - int(answerable.size),
        per_query_ap=ap,
    )


def _lengths(vectors: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        lengths: NDArray[Any] = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    if not np.isfinite(lengths).all():
        raise EvaluationError(
            f"vector {int(np.argmin(np.isfinite(lengths)))} is too long for its dot products; "
            "normalise the vectors to unit length"
        )
    return lengths


def _right_ranks(
    similarities: NDArray[Any],
    same_label: NDArray[np.int64],
    itself: int | None,
    margin: float,
) -> NDArray[np.int64]:
    """Ranks of the right answers, from 1, ascending; ``similarities`` is overwritten.

    The rank of a right answer is its position among the right ones plus the number of wrong ones at
    least as similar. So only the wrong ones that can precede a right one are sorted.
    """
    if itself is not None:
        same_label = same_label[same_label != itself]
        similarities[itself] = -np.inf
    if same_label.size == 0:
        return np.empty(0, dtype=np.int64)
    right = np.sort(similarities[same_label])[::-1] - margin
    similarities[same_label] = -np.inf
    wrong = np.sort(similarities[similarities >= right[-1]])
    ahead = wrong.size - np.searchsorted(wrong, right, side="left")
    return (ahead + np.arange(1, right.size + 1)).astype(np.int64)


def _labels(labels: ArrayLike, count: int, side: str) -> NDArray[Any]:
    array = np.asarray(labels)
    if array.shape != (count,):
        raise EvaluationError(
            f"{count} {side} vectors need {count} labels; got labels of shape {array.shape}"
        )
    if array.size == 0:
        return array
    if array.dtype.kind == "O":
        kinds = {type(label) for label in array.tolist()}
        if kinds == {str}:
            return array.astype(np.str_)
        if kinds == {int}:
            return array.astype(np.int64)
    if array.dtype.kind == "U":
        return array
    # With int64, numpy would promote uint64 to float64, where different labels become equal.
    fits = array.dtype.kind == "i" or (
        array.dtype.kind == "u" and int(array.max()) <= np.iinfo(np.int64).max
    )
    if not fits:
        raise EvaluationError(
            f"{side} labels must all be whole numbers below 2**63 or all be strings, with none "
            f"missing; got {array.dtype}"
        )
    return array.astype(np.int64)


def _label_codes(
    query_labels: NDArray[Any], gallery_labels: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    both_given = query_labels.size and gallery_labels.size
    if both_given and (query_labels.dtype.kind == "U") != (gallery_labels.dtype.kind == "U"):
        raise EvaluationError(
            f"query labels are {query_labels.dtype} and gallery labels are "
            f"{gallery_labels.dtype}, so no label could match; use one kind for both"
        )
    if not both_given:
        return (
            np.zeros(query_labels.size, dtype=np.int64),
            np.zeros(gallery_labels.size, dtype=np.int64),
        )
    _, codes = np.unique(np.concatenate([query_labels, gallery_labels]), return_inverse=True)
    whole = codes.astype(np.int64)
    return whole[: query_labels.size], whole[query_labels.size :]
