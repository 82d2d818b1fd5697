"""Google Landmarks v2: retrieval by mAP@100, recognition by global average precision.

Weyand, Araujo, Cao, Sim: Google Landmarks Dataset v2 - A Large-Scale Benchmark for Instance-Level
Recognition and Retrieval, CVPR 2020. Test images belong to a public or a private part, which are
scored separately; some are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from glocal.errors import EvaluationError
from glocal.evaluate.csv_rows import read_rows
from glocal.evaluate.ranking_metrics import precisions_at

Answer = TypeVar("Answer", str, int)

DEPTH = 100
"""Number of answers per query that the retrieval protocol counts."""


@dataclass(frozen=True, slots=True)
class LandmarkSolution(Generic[Answer]):
    """The right answers of each test image, by part.

    Attributes:
        public: right answers for each test image: at least one index image in retrieval; landmark
            numbers in recognition, none if the image shows no landmark.
        private: like `public`, for the private part.
        ignored: test images that do not count.
    """

    public: Mapping[str, frozenset[Answer]]
    private: Mapping[str, frozenset[Answer]]
    ignored: frozenset[str]


def read_retrieval_solution(path: str | Path) -> LandmarkSolution[str]:
    """Read ``retrieval_solution_v2.1.csv``: columns id, images (separated by spaces, or None),
    Usage.

    Raises:
        EvaluationError: the file is missing, or a row is not of that form or repeats an image.
    """
    parts: dict[str, dict[str, frozenset[str]]] = {"Public": {}, "Private": {}}
    ignored: set[str] = set()
    for line, (image, images, usage) in read_rows(path, ("id", "images", "Usage")):
        where = f"{path}, line {line}"
        _refuse_repeated(image, (*parts.values(), ignored), where)
        answers = frozenset(images.split())
        if usage == "Ignored" or answers <= {"None"}:
            ignored.add(image)
        else:
            _part(parts, usage, where)[image] = answers
    return LandmarkSolution(parts["Public"], parts["Private"], frozenset(ignored))


def read_recognition_solution(path: str | Path) -> LandmarkSolution[int]:
    """Read ``recognition_solution_v2.1.csv``: columns id, landmarks (separated by spaces, or
    empty), Usage.

    Raises:
        EvaluationError: the file is missing, or a row is not of that form or repeats an image.
    """
    parts: dict[str, dict[str, frozenset[int]]] = {"Public": {}, "Private": {}}
    ignored: set[str] = set()
    for line, (image, landmarks, usage) in read_rows(path, ("id", "landmarks", "Usage")):
        where = f"{path}, line {line}"
        _refuse_repeated(image, (*parts.values(), ignored), where)
        if usage == "Ignored":
            ignored.add(image)
        else:
            answers = frozenset(_landmark(text, where) for text in landmarks.split())
            _part(parts, usage, where)[image] = answers
    return LandmarkSolution(parts["Public"], parts["Private"], frozenset(ignored))


def read_retrieval_predictions(path: str | Path) -> dict[str, list[str]]:
    """Read answers in the form of the challenge: columns id, images (best first, by spaces).

    Raises:
        EvaluationError: the file is missing, or a row is not of that form or repeats an image.
    """
    predictions: dict[str, list[str]] = {}
    for line, (image, images) in read_rows(path, ("id", "images")):
        _refuse_repeated(image, (predictions,), f"{path}, line {line}")
        predictions[image] = images.split()
    return predictions


def read_recognition_predictions(path: str | Path) -> dict[str, tuple[int, float]]:
    """Read answers in the form of the challenge: columns id, landmarks ("number score", or empty).

    Raises:
        EvaluationError: the file is missing, or a row is not of that form or repeats an image.
    """
    predictions: dict[str, tuple[int, float]] = {}
    for line, (image, answer) in read_rows(path, ("id", "landmarks")):
        where = f"{path}, line {line}"
        _refuse_repeated(image, (predictions,), where)
        match answer.split():
            case []:
                continue
            case [text, score]:
                landmark = _landmark(text, where)
                try:
                    predictions[image] = (landmark, float(score))
                except ValueError as error:
                    raise EvaluationError(f"{where}: {score!r} is not a score") from error
            case _:
                raise EvaluationError(f"{where}: {answer!r} is not one landmark and its score")
    return predictions


def evaluate_landmark_retrieval(
    predictions: Mapping[str, Sequence[str]], solution: LandmarkSolution[str]
) -> dict[str, float]:
    """Compute mAP@100 of the public and of the private part.

    A query's average precision is the sum of the precisions at its right answers among the first
    100, divided by ``min(right answers, 100)``. A query without predictions scores 0. A repeated
    answer counts once, but still takes up a rank.

    Args:
        predictions: index images for each test image, best first.
        solution: the right answers.

    Returns:
        ``{"public": ..., "private": ...}`` in [0, 1]; nan for a part without queries.

    Raises:
        EvaluationError: a prediction is for an image that is not in the solution, or a query of
            the solution has no right answer.
    """
    _refuse_unknown(predictions, solution)
    return {
        part: _mean_ap(predictions, answers)
        for part, answers in (("public", solution.public), ("private", solution.private))
    }


def evaluate_landmark_recognition(
    predictions: Mapping[str, tuple[int, float]], solution: LandmarkSolution[int]
) -> dict[str, float]:
    """Compute global average precision (GAP, also μAP) of the public and of the private part.

    All predictions of a part form one list by descending score. GAP is the sum of the precisions
    at the right ones, divided by the number of test images that show a landmark. A prediction for
    an image without a landmark is wrong. Equal scores are ordered by image id, then landmark, as
    in the challenge.

    Args:
        predictions: a landmark and a score for each test image; images may be left out.
        solution: the right answers.

    Returns:
        ``{"public": ..., "private": ...}`` in [0, 1]; nan for a part that shows no landmark.

    Raises:
        EvaluationError: a prediction is for an image that is not in the solution, or its score is
            nan.
    """
    _refuse_unknown(predictions, solution)
    for image, (_, score) in predictions.items():
        if math.isnan(score):
            raise EvaluationError(
                f"the score of image {image!r} is nan, which cannot be ranked; use finite scores"
            )
    return {
        part: _global_ap(predictions, answers)
        for part, answers in (("public", solution.public), ("private", solution.private))
    }


def _mean_ap(
    predictions: Mapping[str, Sequence[str]], solution: Mapping[str, frozenset[str]]
) -> float:
    each = []
    for image, right in solution.items():
        if not right:
            raise EvaluationError(
                f"image {image!r} has no right answer; list such images as ignored"
            )
        seen: set[str] = set()
        ranks = []
        for rank, answer in enumerate(predictions.get(image, ())[:DEPTH], start=1):
            if answer in right and answer not in seen:
                ranks.append(rank)
            seen.add(answer)
        summed = precisions_at(np.asarray(ranks, dtype=np.int64)).sum()
        each.append(float(summed) / min(len(right), DEPTH))
    return math.fsum(each) / len(each) if each else float("nan")


def _global_ap(
    predictions: Mapping[str, tuple[int, float]], solution: Mapping[str, frozenset[int]]
) -> float:
    with_landmark = sum(1 for right in solution.values() if right)
    if with_landmark == 0:
        return float("nan")
    ranked = sorted(
        (-score, image, landmark)
        for image, (landmark, score) in predictions.items()
        if image in solution
    )
    ranks = [
        rank
        for rank, (_, image, landmark) in enumerate(ranked, start=1)
        if landmark in solution[image]
    ]
    return float(precisions_at(np.asarray(ranks, dtype=np.int64)).sum()) / with_landmark


def _refuse_unknown(predictions: Collection[str], solution: LandmarkSolution[Answer]) -> None:
    for image in predictions:
        if not any(image in part for part in (solution.public, solution.private, solution.ignored)):
            raise EvaluationError(
                f"there is a prediction for {image!r}, which is not in the solution; leave it out"
            )


def _refuse_repeated(image: str, seen: tuple[Collection[str], ...], where: str) -> None:
    if any(image in part for part in seen):
        raise EvaluationError(f"{where}: image {image!r} is listed twice; keep one row")


def _part(
    parts: dict[str, dict[str, frozenset[Answer]]], usage: str, where: str
) -> dict[str, frozenset[Answer]]:
    if usage not in parts:
        raise EvaluationError(f"{where}: Usage is {usage!r}, not Public, Private or Ignored")
    return parts[usage]


def _landmark(text: str, where: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise EvaluationError(f"{where}: {text!r} is not a landmark number")
    return int(text)
