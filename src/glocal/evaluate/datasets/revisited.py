"""Revisited Oxford and Paris in their usual layout, with or without distractors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.errors import EvaluationError
from glocal.evaluate.datasets.evaluation import Report, Sample
from glocal.evaluate.datasets.listing import ImageTest, distractor_samples, require_folder
from glocal.evaluate.ground_truth import GroundTruth, read_ground_truth
from glocal.evaluate.nearest import nearest
from glocal.evaluate.revisited import evaluate_revisited

_LAYOUT = "a ground truth gnd_*.pkl or gnd_*.json, and the images as jpg/NAME.jpg"


@dataclass(frozen=True, slots=True, eq=False)
class RevisitedEvaluation:
    """Queries cropped to their boxes, under `evaluate_revisited`.

    An unreadable query finds nothing, an unreadable database image is never found.

    Attributes:
        queries: see `Evaluation`.
        gallery: see `Evaluation`; distractors come after the database images.
        truth: ground truth, with the distractors in its database.
        distractors: number of distractors.
        leave_one_out: see `Evaluation`.
        goodness_name: see `Evaluation`.
    """

    queries: Sequence[Sample]
    gallery: Sequence[Sample]
    truth: GroundTruth
    distractors: int
    leave_one_out: bool = False
    goodness_name: str = "AP (medium)"

    def evaluate(self, queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> Report:
        """See `Evaluation`."""
        ranks, _ = nearest(queries, gallery, len(gallery))
        results = evaluate_revisited(ranks, self.truth)
        figures = {
            setup: {
                "mAP": result.mean_ap,
                **{f"mP@{k}": value for k, value in result.mean_precision_at.items()},
            }
            for setup, result in results.items()
        }
        counts = {f"{setup} queries": result.queries for setup, result in results.items()}
        counts |= {"gallery": len(gallery), "distractors": self.distractors}
        return Report(figures, counts, results["medium"].per_query_ap)

    def is_right(self, query: int, answer: int) -> bool | None:
        """See `Evaluation`: easy and hard are right, as in the medium setup; junk is ignored."""
        if answer in self.truth.junk[query]:
            return None
        return answer in self.truth.easy[query] or answer in self.truth.hard[query]


def read_revisited(
    data: Path, is_image: ImageTest, *, distractors: Sequence[Path] = ()
) -> RevisitedEvaluation:
    """Read a data set of the revisited protocol.

    Args:
        data: folder with the ground truth and ``jpg/``, or the ground truth file beside ``jpg/``.
        is_image: see `ImageTest`.
        distractors: folders of images that are never right answers, such as R1M.

    Raises:
        EvaluationError: the folder has another layout, or its ground truth cannot be read.
    """
    file = data if data.is_file() else _ground_truth_file(require_folder(data, _LAYOUT))
    truth = read_ground_truth(file)
    if not truth.query_names or not truth.database_names:
        raise EvaluationError(f"{file} has no query or no database image")
    images = require_folder(file.parent / "jpg", "the images as NAME.jpg")
    gallery = [Sample(_image(images, name)) for name in truth.database_names]
    queries = [
        Sample(_image(images, name), _region(box, f"the box of query {name!r} in {file}"))
        for name, box in zip(truth.query_names, truth.boxes, strict=True)
    ]
    rest = distractor_samples(distractors, [*queries, *gallery], is_image)
    names = (*truth.database_names, *(str(sample.path) for sample in rest))
    return RevisitedEvaluation(
        queries, [*gallery, *rest], replace(truth, database_names=names), len(rest)
    )


def _ground_truth_file(folder: Path) -> Path:
    found = sorted(path for path in folder.glob("gnd_*") if path.suffix in (".pkl", ".json"))
    if not found:
        raise EvaluationError(f"there is no ground truth in {folder}; it should hold {_LAYOUT}")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise EvaluationError(
            f"{folder} holds several ground truths ({names}); give one of these files as DATA"
        )
    return found[0]


def _image(folder: Path, name: str) -> Path:
    path = folder / f"{name}.jpg"
    if path.parent != folder:
        raise EvaluationError(
            f"the ground truth names an image {name!r}, which is not a plain file name"
        )
    return path


def _region(box: NDArray[np.float64], what: str) -> tuple[float, float, float, float] | None:
    if np.isnan(box).any():
        return None
    left, top, right, bottom = (float(value) for value in box)
    if right - left <= 1 or bottom - top <= 1:
        raise EvaluationError(
            f"{what} is {box.tolist()}, no more than a pixel wide or high; correct it"
        )
    return left, top, right - left, bottom - top
