"""Any labelled collection: a folder for each label, or a table of paths and labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.errors import EvaluationError
from glocal.evaluate.datasets.evaluation import Report, Sample
from glocal.evaluate.datasets.listing import (
    ImageTest,
    distractor_samples,
    images_below,
    read_table,
    require_folder,
)
from glocal.evaluate.labelled import evaluate_labelled

DISTRACTOR = "distractor"
"""Label of gallery images that are neither queries nor right answers."""

_LAYOUT = "a folder of images for each label, or be a table with the columns path and label"
_KS = (1, 5, 10)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledEvaluation:
    """Labelled images under `evaluate_labelled`.

    An unreadable image is left out altogether: as a query, and as an answer.

    Attributes:
        queries: see `Evaluation`.
        query_labels: label of each query.
        gallery: see `Evaluation`; distractors come last.
        gallery_labels: label of each gallery image that is not a distractor.
        leave_one_out: see `Evaluation`; the queries are then the gallery without its distractors.
        goodness_name: see `Evaluation`.
    """

    queries: Sequence[Sample]
    query_labels: Sequence[str]
    gallery: Sequence[Sample]
    gallery_labels: Sequence[str]
    leave_one_out: bool
    goodness_name: str = "AP"

    def evaluate(self, queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> Report:
        """See `Evaluation`; rows that are nan are left out."""
        asks, answers = ~np.isnan(queries[:, 0]), ~np.isnan(gallery[:, 0])
        codes = {label: code for code, label in enumerate(dict.fromkeys(self.gallery_labels))}
        # A code of its own keeps a distractor from being a right answer.
        gallery_codes = np.arange(len(codes), len(codes) + len(gallery))
        gallery_codes[: len(self.gallery_labels)] = [codes[x] for x in self.gallery_labels]
        kept, kept_codes = gallery[answers], gallery_codes[answers]
        if self.leave_one_out:
            result = evaluate_labelled(
                kept, kept_codes, kept, kept_codes, exclude_self=True, ks=_KS
            )
        else:
            query_codes = np.asarray([codes.get(label, -1) for label in self.query_labels])
            result = evaluate_labelled(queries[asks], query_codes[asks], kept, kept_codes, ks=_KS)
        goodness = np.full(len(queries), np.nan)
        goodness[asks] = result.per_query_ap[: int(asks.sum())]
        row = {
            "mAP": result.mean_ap,
            **{f"recall@{k}": value for k, value in result.recall_at.items()},
            "R-precision": result.r_precision,
            "MAP@R": result.map_at_r,
        }
        return Report(
            {"leave-one-out" if self.leave_one_out else "query set": row},
            {
                "queries": result.queries,
                "queries without a right answer": int(asks.sum()) - result.queries,
                "gallery": len(kept),
                "distractors": int(answers[len(self.gallery_labels) :].sum()),
            },
            goodness,
        )

    def is_right(self, query: int, answer: int) -> bool | None:
        """See `Evaluation`."""
        if answer >= len(self.gallery_labels):
            return False
        return self.query_labels[query] == self.gallery_labels[answer]


def read_labelled(
    data: Path,
    is_image: ImageTest,
    *,
    queries: Path | None = None,
    distractors: Sequence[Path] = (),
) -> LabelledEvaluation:
    """Read a labelled collection.

    Args:
        data: a folder, where the label of an image is the path of its folder relative to
            ``data``; or a table with the columns ``path`` (relative to the table) and ``label``
            (or ``instance``). The label ``distractor`` marks images that are never right answers.
        is_image: see `ImageTest`.
        queries: query images, in the same layout as ``data``; without it every labelled image of
            ``data`` is a query for the others (leave-one-out).
        distractors: folders of images that are never right answers.

    Raises:
        EvaluationError: there is no such data set, an image is listed twice or is both query
            and gallery, or no query can have a right answer.
    """
    labelled, unlabelled = _read(data, is_image)
    gallery = [Sample(path) for path, _ in labelled]
    labels = [label for _, label in labelled]
    rest = [Sample(path) for path in unlabelled]
    if queries is None:
        asked, asked_labels = gallery, labels
        if max(Counter(labels).values(), default=0) < 2:
            raise EvaluationError(
                f"no label of {data} has two images, so none can find another; "
                "add a query set with --queries"
            )
    else:
        pairs, _ = _read(queries, is_image)
        asked = [Sample(path) for path, _ in pairs]
        asked_labels = [label for _, label in pairs]
        _refuse_shared(asked, [*gallery, *rest])
        if not set(asked_labels) & set(labels):
            raise EvaluationError(
                f"no label of {queries} is a label of {data}: "
                f"the first are {asked_labels[0]!r} and {labels[0]!r}; use the same names"
            )
    rest += distractor_samples(distractors, [*asked, *gallery, *rest], is_image)
    return LabelledEvaluation(asked, asked_labels, [*gallery, *rest], labels, queries is None)


def _read(data: Path, is_image: ImageTest) -> tuple[list[tuple[Path, str]], list[Path]]:
    """Images with their labels, and images that are distractors."""
    pairs = _from_table(data) if data.is_file() else _from_folders(data, is_image)
    labelled = [(path, label) for path, label in pairs if label != DISTRACTOR]
    if not labelled:
        raise EvaluationError(f"{data} has no labelled image; it should hold {_LAYOUT}")
    return labelled, [path for path, label in pairs if label == DISTRACTOR]


def _from_folders(data: Path, is_image: ImageTest) -> list[tuple[Path, str]]:
    pairs = []
    for path in images_below(require_folder(data, _LAYOUT), is_image):
        label = path.parent.relative_to(data).as_posix()
        if label == ".":
            raise EvaluationError(
                f"{path} has no label: it lies directly in {data}, which should hold {_LAYOUT}"
            )
        pairs.append((path, label))
    return pairs


def _from_table(table: Path) -> list[tuple[Path, str]]:
    pairs = []
    seen: dict[str, int] = {}
    for line, (name, label) in read_table(table, [("path",), ("label", "instance")]):
        if not name or not label:
            missing = "label" if name else "path"
            raise EvaluationError(
                f"{table}, line {line}: no {missing}; label images that are never right answers "
                f"{DISTRACTOR!r}"
            )
        path = table.parent / name
        first = seen.setdefault(os.path.normpath(path), line)
        if first != line:
            raise EvaluationError(f"{table}, line {line}: {name} is listed in line {first} too")
        pairs.append((path, label))
    return pairs


def _refuse_shared(queries: Sequence[Sample], gallery: Sequence[Sample]) -> None:
    places = {os.path.abspath(sample.path) for sample in gallery}
    for sample in queries:
        if os.path.abspath(sample.path) in places:
            raise EvaluationError(
                f"{sample.path} is a query and in the gallery, and would find itself; keep the "
                "sets apart, or leave --queries out to search each image among the others"
            )
