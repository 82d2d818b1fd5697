"""Google Landmarks v2 as it is unpacked: retrieval, recognition, or both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.errors import EvaluationError
from glocal.evaluate.checks import EMPTY_SLOT
from glocal.evaluate.csv_rows import read_rows
from glocal.evaluate.datasets.evaluation import Report, Sample
from glocal.evaluate.datasets.listing import (
    ImageTest,
    images_by_name,
    read_table,
    require_folder,
)
from glocal.evaluate.landmarks import (
    DEPTH,
    Answer,
    LandmarkSolution,
    evaluate_landmark_recognition,
    evaluate_landmark_retrieval,
    read_recognition_solution,
    read_retrieval_solution,
)
from glocal.evaluate.nearest import nearest
from glocal.evaluate.ranking_metrics import average_precision

NEIGHBOURS = 5
"""Number of train images that vote on the landmark of a test image."""

_LAYOUT = (
    "test/ with retrieval_solution*.csv and index/ (retrieval), or with recognition_solution*.csv, "
    "train/ and train.csv (recognition); images as A/B/C/ABC....jpg"
)


@dataclass(frozen=True, slots=True, eq=False)
class RetrievalEvaluation:
    """Test images searched in the index, under `evaluate_landmark_retrieval`.

    An unreadable test image finds nothing, an unreadable index image is never found.

    Attributes:
        queries: see `Evaluation`.
        query_names: identifiers of the queries.
        gallery: see `Evaluation`.
        gallery_names: identifiers of the index images.
        solution: the right answers.
        leave_one_out: see `Evaluation`.
        goodness_name: see `Evaluation`.
    """

    queries: Sequence[Sample]
    query_names: Sequence[str]
    gallery: Sequence[Sample]
    gallery_names: Sequence[str]
    solution: LandmarkSolution[str]
    leave_one_out: bool = False
    goodness_name: str = f"AP@{DEPTH}"

    def evaluate(self, queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> Report:
        """See `Evaluation`."""
        ranks, _ = nearest(queries, gallery, DEPTH)
        predictions = {}
        goodness = np.empty(len(queries))
        for query, (name, row) in enumerate(zip(self.query_names, ranks, strict=True)):
            found = [self.gallery_names[answer] for answer in row[row != EMPTY_SLOT].tolist()]
            predictions[name] = found
            right = _answers(self.solution, name)
            relevant = np.asarray([answer in right for answer in found], dtype=np.bool_)
            goodness[query] = average_precision(relevant, total=min(len(right), DEPTH))
        figures = evaluate_landmark_retrieval(predictions, self.solution)
        counts = {"retrieval queries": len(queries), "index": len(gallery)}
        return Report({f"retrieval mAP@{DEPTH}": figures}, counts, goodness)

    def is_right(self, query: int, answer: int) -> bool:
        """See `Evaluation`."""
        right = _answers(self.solution, self.query_names[query])
        return self.gallery_names[answer] in right


@dataclass(frozen=True, slots=True, eq=False)
class RecognitionEvaluation:
    """Test images recognised by their nearest train images: `evaluate_landmark_recognition`.

    The `NEIGHBOURS` nearest train images vote for their landmarks, each with its similarity if
    that is above 0. The landmark with the largest sum is predicted, and the sum is its score. An
    unreadable test image has no prediction, an unreadable train image does not vote.

    Attributes:
        queries: see `Evaluation`.
        query_names: identifiers of the queries.
        gallery: see `Evaluation`.
        landmarks: ``(n,)`` int64, landmark of each train image.
        solution: the right answers.
        leave_one_out: see `Evaluation`.
        goodness_name: see `Evaluation`; the score of the prediction, negative if it is wrong.
    """

    queries: Sequence[Sample]
    query_names: Sequence[str]
    gallery: Sequence[Sample]
    landmarks: NDArray[np.int64]
    solution: LandmarkSolution[int]
    leave_one_out: bool = False
    goodness_name: str = "score, negative if wrong"

    def evaluate(self, queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> Report:
        """See `Evaluation`."""
        ranks, scores = nearest(queries, gallery, NEIGHBOURS)
        predictions = {}
        goodness = np.zeros(len(queries))
        for query, (name, row) in enumerate(zip(self.query_names, ranks, strict=True)):
            given = row != EMPTY_SLOT
            prediction = _vote(self.landmarks[row[given]], scores[query, given])
            if prediction is None:
                continue
            predictions[name] = prediction
            right = prediction[0] in _answers(self.solution, name)
            goodness[query] = prediction[1] if right else -prediction[1]
        figures = evaluate_landmark_recognition(predictions, self.solution)
        counts = {"recognition queries": len(queries), "train": len(gallery)}
        return Report({"recognition GAP": figures}, counts, goodness)

    def is_right(self, query: int, answer: int) -> bool:
        """See `Evaluation`."""
        right = _answers(self.solution, self.query_names[query])
        return int(self.landmarks[answer]) in right


def read_landmarks(
    data: Path, is_image: ImageTest
) -> list[RetrievalEvaluation | RecognitionEvaluation]:
    """Read Google Landmarks v2, or a part of it.

    Args:
        data: folder with ``test/`` and the files of one or both tasks: ``retrieval_solution*.csv``
            and ``index/``; ``recognition_solution*.csv``, ``train/`` and ``train.csv`` (or else
            ``train_clean.csv``). Train images that are missing or not in the table are left out;
            missing test images and right answers count as missed.
        is_image: see `ImageTest`.

    Returns:
        One evaluation for each task whose files exist, retrieval first.

    Raises:
        EvaluationError: the folder has the files of neither task, or a table cannot be read.
    """
    require_folder(data, _LAYOUT)
    retrieval = _solution_file(data, "retrieval") if (data / "index").is_dir() else None
    recognition = _solution_file(data, "recognition") if (data / "train").is_dir() else None
    if retrieval is None and recognition is None:
        raise EvaluationError(f"{data} has the files of neither task; it should hold {_LAYOUT}")
    test = images_by_name(data / "test", "the test images", is_image)
    evaluations: list[RetrievalEvaluation | RecognitionEvaluation] = []
    if retrieval is not None:
        evaluations.append(_retrieval(data, retrieval, test, is_image))
    if recognition is not None:
        evaluations.append(_recognition(data, recognition, test, is_image))
    return evaluations


def _retrieval(
    data: Path, table: Path, test: Mapping[str, Path], is_image: ImageTest
) -> RetrievalEvaluation:
    solution = read_retrieval_solution(table)
    index = images_by_name(data / "index", "the index images", is_image)
    answers = {name for part in _parts(solution) for right in part.values() for name in right}
    asked = _asked(solution, table)
    names = [*index, *sorted(answers - index.keys())]
    return RetrievalEvaluation(
        _samples(asked, test, data / "test"),
        asked,
        _samples(names, index, data / "index"),
        names,
        solution,
    )


def _recognition(
    data: Path, table: Path, test: Mapping[str, Path], is_image: ImageTest
) -> RecognitionEvaluation:
    solution = read_recognition_solution(table)
    labels = _train_labels(data)
    train = images_by_name(data / "train", "the train images", is_image)
    names = [name for name in train if name in labels]
    if not names:
        raise EvaluationError(
            f"no image of {data / 'train'} is in the table of train images: "
            f"the first are {next(iter(train))!r} there and {next(iter(labels), None)!r} in it"
        )
    asked = _asked(solution, table)
    return RecognitionEvaluation(
        _samples(asked, test, data / "test"),
        asked,
        _samples(names, train, data / "train"),
        np.asarray([labels[name] for name in names], dtype=np.int64),
        solution,
    )


def _vote(landmarks: NDArray[np.int64], scores: NDArray[np.float32]) -> tuple[int, float] | None:
    sums: dict[int, float] = {}
    for landmark, score in zip(landmarks.tolist(), scores.tolist(), strict=True):
        if score > 0:
            sums[landmark] = sums.get(landmark, 0.0) + score
    return max(sums.items(), key=lambda item: item[1]) if sums else None


def _train_labels(data: Path) -> dict[str, int]:
    table = data / "train.csv"
    if table.is_file():
        return {
            name: _landmark(label, table, line)
            for line, (name, label) in read_table(table, [("id",), ("landmark_id",)])
        }
    clean = data / "train_clean.csv"
    if not clean.is_file():
        raise EvaluationError(
            f"{data} has train/, but neither train.csv (columns id, landmark_id) nor "
            "train_clean.csv (columns landmark_id, images), which say what its images show"
        )
    return {
        name: _landmark(label, clean, line)
        for line, (label, images) in read_rows(clean, ("landmark_id", "images"))
        for name in images.split()
    }


def _landmark(text: str, table: Path, line: int) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise EvaluationError(f"{table}, line {line}: {text!r} is not a landmark number")
    return int(text)


def _solution_file(data: Path, task: str) -> Path | None:
    found = sorted(data.glob(f"{task}_solution*.csv"))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise EvaluationError(f"{data} holds several solutions of {task} ({names}); keep one")
    return found[0] if found else None


def _asked(solution: LandmarkSolution[str] | LandmarkSolution[int], table: Path) -> list[str]:
    asked = [*solution.public, *solution.private]
    if not asked:
        raise EvaluationError(f"{table} has no test image in its public or private part")
    return asked


def _samples(names: Iterable[str], there: Mapping[str, Path], folder: Path) -> list[Sample]:
    """The images by name; a missing one gets the path where it should be."""
    return [Sample(there.get(name) or folder.joinpath(*name[:3], f"{name}.jpg")) for name in names]


def _parts(solution: LandmarkSolution[str]) -> tuple[Mapping[str, frozenset[str]], ...]:
    return solution.public, solution.private


def _answers(solution: LandmarkSolution[Answer], name: str) -> frozenset[Answer]:
    return solution.public.get(name) or solution.private.get(name) or frozenset()
