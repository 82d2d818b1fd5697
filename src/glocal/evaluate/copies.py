"""Copy detection: which references is a query a copy of, and how certain is that?

Douze et al., The 2021 Image Similarity Dataset and Challenge, 2021 (arXiv 2106.09672). Most
queries are distractors, made from no reference; any prediction for them is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import EvaluationError
from glocal.evaluate.checks import checked_numbers
from glocal.evaluate.csv_rows import read_rows
from glocal.evaluate.ranking_metrics import precisions_at

PRECISION = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class CopyPredictions:
    """Pairs that a detector predicts to be copies.

    Attributes:
        queries: ``n`` query names, strings or whole numbers.
        references: ``n`` reference names.
        scores: ``(n,)`` float64, comparable across queries; higher means more certain.
    """

    queries: Sequence[Any]
    references: Sequence[Any]
    scores: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CopyResult:
    """Result of copy detection over all queries together.

    Attributes:
        micro_ap: μAP, in [0, 1]: average precision of the one list of all predictions.
        recall_at_p90: largest share of true pairs found at a threshold with a precision of at
            least 90 %; 0 if there is no such threshold.
        threshold_at_p90: score from which predictions count at that recall; nan if there is no
            such threshold.
        predictions: number of predictions.
        positives: number of true pairs, predicted or not.
    """

    micro_ap: float
    recall_at_p90: float
    threshold_at_p90: float
    predictions: int
    positives: int


def evaluate_copies(
    queries: ArrayLike | Sequence[Any],
    references: ArrayLike | Sequence[Any],
    scores: ArrayLike,
    truth: Iterable[tuple[Any, Any]],
) -> CopyResult:
    """Micro average precision and recall at 90 % precision of scored pairs.

    Among equal scores, wrong predictions come first, as in the challenge: a constant score gains
    nothing.

    Args:
        queries: ``n`` query names, strings or whole numbers.
        references: ``n`` reference names; pairs must not repeat.
        scores: ``(n,)``, higher means more certain.
        truth: the pairs (query, reference) that are copies; a query in none of them is a
            distractor.

    Returns:
        The result; without true pairs, μAP and recall are nan.

    Raises:
        EvaluationError: lengths differ, a pair repeats, or a score is nan or infinite.
    """
    pairs = list(zip(*_names(queries, references), strict=True))
    numbers = checked_numbers(scores, "scores", (len(pairs),))
    if len(set(pairs)) != len(pairs):
        seen: set[tuple[Any, Any]] = set()
        for pair in pairs:
            if pair in seen:
                raise EvaluationError(f"the pair {pair} is predicted twice; keep its best score")
            seen.add(pair)
    true_pairs = set(truth)
    correct = np.fromiter((pair in true_pairs for pair in pairs), dtype=np.bool_, count=len(pairs))
    if not true_pairs:
        return CopyResult(float("nan"), float("nan"), float("nan"), len(pairs), 0)

    order = np.lexsort((correct, -numbers))
    ranks = np.flatnonzero(correct[order]) + 1
    precisions = precisions_at(ranks)
    micro_ap = float(precisions.sum() / len(true_pairs))
    # Recall grows with every true pair, so the last one with enough precision is the best point.
    precise = np.flatnonzero(precisions >= PRECISION)
    if precise.size == 0:
        return CopyResult(micro_ap, 0.0, float("nan"), len(pairs), len(true_pairs))
    best = int(precise[-1])
    return CopyResult(
        micro_ap=micro_ap,
        recall_at_p90=(best + 1) / len(true_pairs),
        threshold_at_p90=float(numbers[order][ranks[best] - 1]),
        predictions=len(pairs),
        positives=len(true_pairs),
    )


def read_copy_truth(path: str | Path) -> list[tuple[str, str]]:
    """Read the published ground truth: columns query_id, reference_id (empty for a distractor).

    Returns:
        The true pairs, without the distractors.

    Raises:
        EvaluationError: the file is missing or has another form.
    """
    rows = read_rows(path, ("query_id", "reference_id"))
    return [(query, reference) for _, (query, reference) in rows if reference]


def read_copy_predictions(path: str | Path) -> CopyPredictions:
    """Read predictions in the form of the challenge: columns query_id, reference_id, score.

    Raises:
        EvaluationError: the file is missing or has another form.
    """
    queries, references, scores = [], [], []
    for line, (query, reference, score) in read_rows(path, ("query_id", "reference_id", "score")):
        try:
            scores.append(float(score))
        except ValueError as error:
            raise EvaluationError(f"{path}, line {line}: {score!r} is not a score") from error
        queries.append(query)
        references.append(reference)
    return CopyPredictions(queries, references, np.asarray(scores, dtype=np.float64))


def _names(queries: Any, references: Any) -> tuple[list[Any], list[Any]]:
    # Python's strings and integers hash faster than numpy's, and read better in errors
    sides = [
        side.tolist() if isinstance(side, np.ndarray) else list(side)
        for side in (queries, references)
    ]
    if len(sides[0]) != len(sides[1]):
        raise EvaluationError(
            f"there are {len(sides[0])} queries but {len(sides[1])} references; pass one of each "
            "per prediction"
        )
    return sides[0], sides[1]
