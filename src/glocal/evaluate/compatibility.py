"""Compatibility of models: do the queries of a newer one find what an older one has indexed?

``C[i, j]`` is a metric of queries by model i in the gallery of model j, where models are numbered
from the oldest. The diagonal has the self-tests, below it are the cross-tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import EvaluationError
from glocal.evaluate.checks import checked_numbers
from glocal.evaluate.labelled import TIE
from glocal.evaluate.ranking_metrics import mean_of_answerable, precisions_at


@dataclass(frozen=True, slots=True)
class CrossResult:
    """Retrieval by label with queries and gallery of different models.

    Attributes:
        recall_at_1: Share of queries whose first answer is right.
        mean_ap: Mean average precision over the whole gallery.
        queries: Number of queries that have a right answer, over which the means are.
    """

    recall_at_1: float
    mean_ap: float
    queries: int


def evaluate_cross(
    query_vectors: ArrayLike,
    query_labels: ArrayLike,
    gallery_vectors: ArrayLike,
    gallery_labels: ArrayLike,
    *,
    same_images: bool = False,
) -> CrossResult:
    """Rank the gallery for each query by dot product and compare the labels.

    As `evaluate_labelled`, of equally similar answers the wrong ones come first.

    Args:
        query_vectors: ``(q, d)``, by the one model or brought to the other's space by a bridge.
        query_labels: ``(q,)`` whole numbers or strings.
        gallery_vectors: ``(n, d)``, by the other model.
        gallery_labels: ``(n,)``.
        same_images: Whether query i and gallery item i are the same image, which is then left out
            of its own ranking.

    Raises:
        EvaluationError: Shapes do not fit, or a number is nan or infinite.
    """
    gallery = checked_numbers(gallery_vectors, "gallery vectors", (None, None))
    queries = checked_numbers(query_vectors, "query vectors", (None, gallery.shape[1]))
    asked, answers = np.asarray(query_labels), np.asarray(gallery_labels)
    if asked.shape != (len(queries),) or answers.shape != (len(gallery),):
        raise EvaluationError(
            f"{len(queries)} query and {len(gallery)} gallery vectors need as many labels; got "
            f"labels of the shapes {asked.shape} and {answers.shape}"
        )
    if same_images and not np.array_equal(asked, answers):
        raise EvaluationError(
            "same_images leaves gallery item i out for query i, but their labels differ; pass "
            "both models' vectors of the same images in the same order"
        )
    lengths = (np.linalg.norm(rows, axis=1).max(initial=0.0) for rows in (queries, gallery))
    margin = TIE * np.finfo(np.result_type(queries, gallery)).eps * np.prod(list(lengths))
    first, average = np.full(len(queries), np.nan), np.full(len(queries), np.nan)
    for query, vector in enumerate(queries):
        scores, right = gallery @ vector, answers == asked[query]
        if same_images:
            scores, right = np.delete(scores, query), np.delete(right, query)
        ranks = _pessimistic_ranks(scores[right], scores[~right], float(margin))
        if ranks.size:
            first[query] = ranks[0] == 1
            average[query] = precisions_at(ranks).sum() / ranks.size
    return CrossResult(
        mean_of_answerable(first), mean_of_answerable(average), int((~np.isnan(first)).sum())
    )


def average_compatibility(matrix: ArrayLike) -> float:
    """AC: the share of cross-tests that meet the criterion of compatibility.

    ``AC = 2 / (T (T - 1)) Σ_{i > j} [C_ij > C_jj]``: a newer model's queries have to find more in
    an older gallery than the older model's own. Source: Shen et al., Towards Backward-Compatible
    Representation Learning, CVPR 2020, for the criterion; Biondi et al., CoReS: Compatible
    Representations via Stationarity, 2021, and CL2R, 2023, for the average.

    Args:
        matrix: ``(T, T)``, see the module; what is above the diagonal is not read.

    Raises:
        EvaluationError: The matrix is not square, or there are fewer than two models.
    """
    found = _checked(matrix, 2)
    rows, columns = np.tril_indices(len(found), -1)
    return float((found[rows, columns] > found[columns, columns]).mean())


def average_accuracy(matrix: ArrayLike) -> float:
    """AA: ``2 / (T (T + 1)) Σ_{i >= j} C_ij``, the mean of self-tests and cross-tests.

    Source: Biondi et al., as `average_compatibility`.

    Args:
        matrix: ``(T, T)``, see the module; what is above the diagonal is not read.

    Raises:
        EvaluationError: The matrix is not square.
    """
    found = _checked(matrix, 1)
    return float(found[np.tril_indices(len(found))].mean())


def update_gain(old: float, cross: float, new: float) -> float:
    """How much of the way from the old model to the new one is gained without indexing again.

    ``(cross - old) / (new - old)``: 1 is as good as indexing again, 0 is as good as not updating,
    below 0 is worse. Source: Shen et al. 2020, whose new model is trained without regard to the
    old one; here it is the one that is evaluated.

    Args:
        old: Self-test of the old model.
        cross: The new model's queries in the old gallery.
        new: Self-test of the new model.

    Returns:
        nan where the new model is not better than the old one, so that there is no way to go.
    """
    return (cross - old) / (new - old) if new > old else float("nan")


def _checked(matrix: ArrayLike, least: int) -> NDArray[np.float64]:
    found = np.asarray(matrix, dtype=np.float64)
    if found.ndim != 2 or found.shape[0] != found.shape[1] or len(found) < least:
        raise EvaluationError(
            f"a compatibility matrix is square, of at least {least} models; got the shape "
            f"{found.shape}"
        )
    if not np.isfinite(found[np.tril_indices(len(found))]).all():
        raise EvaluationError(
            "the compatibility matrix has a test without a result; evaluate all pairs of models"
        )
    return found


def _pessimistic_ranks(
    right: NDArray[np.floating], wrong: NDArray[np.floating], margin: float
) -> NDArray[np.int64]:
    """Ranks of the right answers, from 1, ascending; wrong ones come first within the margin."""
    best_first = np.sort(right)[::-1]
    ahead = len(wrong) - np.searchsorted(np.sort(wrong), best_first - margin, side="left")
    return (ahead + np.arange(1, len(right) + 1)).astype(np.int64)
