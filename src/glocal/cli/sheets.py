"""Contact sheets of search results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from glocal.errors import ImageError
from glocal.explain.sheet import SheetHit, SheetRow, thumbnail, write_sheet
from glocal.gallery import SearchResult
from glocal.images import load

_HIT_SIDE = 240
_QUERY_SIDE = 480


def small(path: str | Path, side: int) -> bytes | None:
    """A thumbnail of a file, or `None` when it is not there or no picture any more."""
    try:
        return thumbnail(load(path, min_side=side).array, side)
    except ImageError:
        return None


def evidence_in_words(evidence: dict[str, Any]) -> str:
    """What the second look found, for people: ``copy, 57 parts agree``."""
    verdict = str(evidence.get("verdict", ""))
    if not evidence.get("inliers"):
        return verdict
    return f"{verdict}, {evidence['inliers']} parts agree"


def sheet_row(
    result: SearchResult, *, title: str, right: Path | None = None, below: Path | None = None
) -> SheetRow:
    """One query and its hits.

    Args:
        result: of the search.
        title: of the row.
        right: the path that ought to be found; hits are then marked.
        below: a folder that every hit lies in, which need not be shown.
    """
    hits = [
        SheetHit(
            path=str(hit.path if below is None else hit.path.relative_to(below)),
            score=hit.score,
            caption=evidence_in_words(hit.evidence),
            thumbnail=small(hit.path, _HIT_SIDE),
            correct=None if right is None else hit.path == right,
        )
        for hit in result.hits
    ]
    return SheetRow(title, small(result.query, _QUERY_SIDE), hits)


def results_sheet(results: Iterable[SearchResult], target: Path) -> None:
    """Write one sheet for several searches.

    Raises:
        OSError: the file cannot be written.
    """
    rows = [sheet_row(result, title=result.query) for result in results]
    write_sheet(target, rows, title="glocal search", summary=f"{len(rows)} queries")
