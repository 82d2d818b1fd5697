"""The contact sheet of an evaluation: the queries with the worst and the best results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.cli.vectors import Vectors
from glocal.errors import ImageError, QueryError
from glocal.evaluate.checks import EMPTY_SLOT
from glocal.evaluate.datasets import Evaluation, Report, Sample
from glocal.evaluate.nearest import nearest
from glocal.explain.sheet import SheetHit, SheetRow, thumbnail, write_sheet
from glocal.images import Limits, load

SHOWN = 10
"""Number of worst queries, and number of best queries."""

_HITS = 7  # as many as a wide window shows in one line
_SIDE = 200


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """An evaluation, the vectors that it compared, and its report."""

    evaluation: Evaluation
    queries: Vectors
    gallery: Vectors
    report: Report


def write_report_sheet(
    target: Path, evaluated: list[Evaluated], *, title: str, summary: str, limits: Limits
) -> None:
    """Write one sheet with the worst and then the best queries of each evaluation.

    Raises:
        OSError: The file cannot be written.
    """
    rows = [row for one in evaluated for row in _rows(one, limits)]
    write_sheet(target, rows, title=title, summary=summary)


def worst_and_best(goodness: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    """The worst queries, worst first, and the best of the others, best first.

    Among equal queries a draw with a fixed seed decides, since neighbours in a folder are similar.

    Args:
        goodness: ``(n,)`` figure of each query, nan for a query that is not counted.
    """
    counted = np.random.default_rng(0).permutation(np.flatnonzero(~np.isnan(goodness)))
    order = counted[np.argsort(goodness[counted], kind="stable")]
    worst = order[:SHOWN]
    best = order[worst.size :][-SHOWN:][::-1]
    return worst.tolist(), best.tolist()


def _rows(evaluated: Evaluated, limits: Limits) -> Iterator[SheetRow]:
    for word, queries in zip(
        ("Worst", "Best"), worst_and_best(evaluated.report.goodness), strict=True
    ):
        for place, query in enumerate(queries, start=1):
            yield _row(evaluated, query, f"{word} {place}", limits)


def _row(evaluated: Evaluated, query: int, heading: str, limits: Limits) -> SheetRow:
    evaluation = evaluated.evaluation
    ranks, scores = nearest(evaluated.queries[[query]], evaluated.gallery, len(evaluated.gallery))
    itself = query if evaluation.leave_one_out else EMPTY_SLOT
    listed = [
        (answer, score)
        for answer, score in zip(ranks[0].tolist(), scores[0].tolist(), strict=True)
        if answer not in (itself, EMPTY_SLOT)
    ]
    sample = evaluation.queries[query]
    hits = [
        SheetHit(
            path=str(evaluation.gallery[answer].path),
            score=score,
            thumbnail=_small(evaluation.gallery[answer], limits),
            correct=evaluation.is_right(query, answer),
        )
        for answer, score in listed[:_HITS]
    ]
    note = f"{evaluation.goodness_name} {evaluated.report.goodness[query]:.3f}"
    first = next(
        (rank for rank, (answer, _) in enumerate(listed, 1) if evaluation.is_right(query, answer)),
        None,
    )
    if first is None:
        note += "; there is no correct result"
    elif first > 1:
        path = evaluation.gallery[listed[first - 1][0]].path
        note += f"; the first correct result is {path.name} at rank {first}"
    note = f"in {sample.path.parent.name}; {note}"
    return SheetRow(f"{heading}: {sample.path.name}", _small(sample, limits), hits, note)


def _small(sample: Sample, limits: Limits) -> bytes | None:
    try:
        image = load(sample.path, min_side=_SIDE, region=sample.region, limits=limits)
        return thumbnail(image.array, _SIDE)
    except (ImageError, QueryError):
        return None
