"""Copy detection in the layout of DISC21: queries, references, and a table of true pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.errors import EvaluationError
from glocal.evaluate.checks import EMPTY_SLOT
from glocal.evaluate.copies import evaluate_copies, read_copy_truth
from glocal.evaluate.csv_rows import read_rows
from glocal.evaluate.datasets.evaluation import Report, Sample
from glocal.evaluate.datasets.listing import (
    ImageTest,
    distractor_samples,
    images_by_name,
    require_folder,
)
from glocal.evaluate.nearest import nearest

DEPTH = 10
"""Number of references predicted for each query, with their similarity as the score."""

PREDICTIONS = 500_000
"""Number of predictions that the challenge accepted: those with the highest scores."""

_LAYOUT = "queries/, references/ and ground_truth.csv with the columns query_id,reference_id"


@dataclass(frozen=True, slots=True, eq=False)
class CopiesEvaluation:
    """Queries, of which some are copies of references, under `evaluate_copies`.

    The predictions are the `DEPTH` nearest references of each query, and of all these the
    `PREDICTIONS` with the highest scores. An unreadable query has no predictions, an unreadable
    reference is never predicted.

    Attributes:
        queries: see `Evaluation`.
        query_names: identifier of each query.
        gallery: see `Evaluation`.
        gallery_names: identifier of each reference.
        truth: the pairs of names that are copies.
        leave_one_out: see `Evaluation`.
        goodness_name: see `Evaluation`; the similarity of the nearest right reference minus that of
            the nearest wrong one, each 0 if none was predicted.
    """

    queries: Sequence[Sample]
    query_names: Sequence[str]
    gallery: Sequence[Sample]
    gallery_names: Sequence[str]
    truth: frozenset[tuple[str, str]]
    leave_one_out: bool = False
    goodness_name: str = "margin of the right answer"

    def evaluate(self, queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> Report:
        """See `Evaluation`."""
        ranks, scores = nearest(queries, gallery, DEPTH)
        asked, places = np.nonzero(ranks != EMPTY_SLOT)
        answers, sure = ranks[asked, places], scores[asked, places]
        right = np.fromiter(
            (self.is_right(q, a) for q, a in zip(asked.tolist(), answers.tolist(), strict=True)),
            dtype=np.bool_,
            count=asked.size,
        )
        nearest_right, nearest_wrong = np.zeros(len(queries)), np.zeros(len(queries))
        np.maximum.at(nearest_right, asked[right], sure[right])
        np.maximum.at(nearest_wrong, asked[~right], sure[~right])
        surest = np.argsort(-sure, kind="stable")[:PREDICTIONS]
        result = evaluate_copies(
            [self.query_names[query] for query in asked[surest].tolist()],
            [self.gallery_names[answer] for answer in answers[surest].tolist()],
            sure[surest],
            self.truth,
        )
        figures = {"copies": {"μAP": result.micro_ap, "recall@P90": result.recall_at_p90}}
        counts = {
            "queries": len(queries),
            "references": len(gallery),
            "true pairs": result.positives,
            "predictions": result.predictions,
        }
        return Report(figures, counts, nearest_right - nearest_wrong)

    def is_right(self, query: int, answer: int) -> bool:
        """See `Evaluation`."""
        return (self.query_names[query], self.gallery_names[answer]) in self.truth


def read_copies(
    data: Path, is_image: ImageTest, *, distractors: Sequence[Path] = ()
) -> CopiesEvaluation:
    """Read a copy detection data set.

    Args:
        data: a folder with ``queries/``, ``references/`` and ``ground_truth.csv`` (or one other
            table with ``ground`` and ``truth`` in its name). Images are named by identifier. If
            the table also lists queries without a reference, the queries are those of the table;
            otherwise it lists only copies, and every image of ``queries/`` is a query.
        is_image: see `ImageTest`.
        distractors: folders of images to add to the references.

    Raises:
        EvaluationError: the folder has another layout, or no query is a copy.
    """
    table = _truth_file(require_folder(data, _LAYOUT))
    truth = frozenset(read_copy_truth(table))
    if not truth:
        raise EvaluationError(
            f"{table} names no copy: every reference_id is empty; fill in those of the copies"
        )
    listed = [row for _, row in read_rows(table, ("query_id", "reference_id"))]
    queries = images_by_name(data / "queries", "the queries as QUERY_ID.jpg", is_image)
    references = images_by_name(data / "references", "the references as REFERENCE_ID.jpg", is_image)
    # Images that the table names but the folder lacks are kept, and reported as missing.
    asked = dict.fromkeys(query for query, _ in listed)
    if all(reference for _, reference in listed):
        asked = dict.fromkeys([*queries, *asked])
    query_samples = [Sample(queries.get(x, data / "queries" / f"{x}.jpg")) for x in asked]
    names = list(dict.fromkeys([*references, *sorted(reference for _, reference in truth)]))
    gallery = [Sample(references.get(x, data / "references" / f"{x}.jpg")) for x in names]
    rest = distractor_samples(distractors, [*query_samples, *gallery], is_image)
    # Unlike identifiers, paths have separators, so no distractor can be taken for a reference.
    names += [str(sample.path.absolute()) for sample in rest]
    return CopiesEvaluation(query_samples, list(asked), [*gallery, *rest], names, truth)


def _truth_file(folder: Path) -> Path:
    usual = folder / "ground_truth.csv"
    if usual.is_file():
        return usual
    found = sorted(folder.glob("*ground*truth*.csv"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found)
        which = f"several ({names}); name one of them ground_truth.csv" if found else "none"
        raise EvaluationError(
            f"{folder} should hold {_LAYOUT}; of tables with ground truth it has {which}"
        )
    return found[0]
