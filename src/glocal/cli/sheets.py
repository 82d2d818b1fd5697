"""Contact sheets of search results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from glocal.errors import ImageError
from glocal.explain.sheet import SheetHit, SheetRow, thumbnail, write_sheet
from glocal.gallery import SearchResult
from glocal.images import load

_SIDE = 240


def small(path: str | Path) -> bytes | None:
    """A thumbnail of a file, or `None` when it is not there or no picture any more."""
    try:
        return thumbnail(load(path, min_side=_SIDE).array, _SIDE)
    except ImageError:
        return None


def sheet_row(
    result: SearchResult, *, title: str, note: str = "", right: Path | None = None
) -> SheetRow:
    """One query and its hits; `right` is the path that ought to be found."""
    hits = [
        SheetHit(
            path=str(hit.path),
            score=hit.score,
            caption="identical file" if hit.evidence.get("identical") else "",
            thumbnail=small(hit.path),
            correct=None if right is None else hit.path == right,
        )
        for hit in result.hits
    ]
    return SheetRow(title, None if result.query == "-" else small(result.query), hits, note)


def results_sheet(results: Iterable[SearchResult], target: Path) -> None:
    """Write one sheet for several searches.

    Raises:
        OSError: the file cannot be written.
    """
    rows = [sheet_row(result, title=result.query) for result in results]
    write_sheet(target, rows, title="glocal search", summary=f"{len(rows)} queries")
