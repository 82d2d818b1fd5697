"""Contact sheets of search results."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from glocal.encoders import OnnxEncoder
from glocal.errors import ImageError, ModelError
from glocal.explain import explain
from glocal.explain.sheet import SheetHit, SheetRow, thumbnail, write_sheet
from glocal.gallery import Hit, SearchResult
from glocal.images import load
from glocal.ranking.evidence import Evidence

_HIT_SIDE = 240
_QUERY_SIDE = 480
_EXPLAINED = 3  # hits of a query; each adds some 200 kB to the sheet
_PAGE_SIDE = 1400


def small(path: str | Path, side: int) -> bytes | None:
    """A thumbnail of a file, or `None` when it is not there or no image any more."""
    try:
        return thumbnail(load(path, min_side=side).array, side)
    except ImageError:
        return None


def evidence_in_words(evidence: Evidence | None) -> str:
    """What geometric verification found, for people: ``copy, 57 local features agree``."""
    if evidence is None:
        return ""
    if not evidence.inliers:
        return evidence.verdict.label
    return f"{evidence.verdict.label}, {evidence.inliers} local features agree"


def sheet_row(
    result: SearchResult,
    *,
    title: str,
    right: Path | None = None,
    below: Path | None = None,
    why: Callable[[Hit], bytes | None] | None = None,
) -> SheetRow:
    """One query and its hits.

    Args:
        result: of the search.
        title: of the row.
        right: the path that ought to be found; hits are then marked.
        below: a folder that every hit lies in, which need not be shown.
        why: draws why a hit was found, for the first few.
    """
    hits = [
        SheetHit(
            path=str(hit.path if below is None else hit.path.relative_to(below)),
            score=hit.score,
            caption=evidence_in_words(hit.evidence),
            thumbnail=small(hit.path, _HIT_SIDE),
            correct=None if right is None else hit.path == right,
            explanation=why(hit) if why is not None and hit.rank <= _EXPLAINED else None,
        )
        for hit in result.hits
    ]
    return SheetRow(title, small(result.query, _QUERY_SIDE), hits)


def explained(query: str, hit: Hit, encoder: OnnxEncoder | None) -> bytes | None:
    """Why a hit was found, as JPEG: its verified points, or else what each region adds.

    None where an image is not there any more, or the model cannot tell.
    """
    if encoder is None:
        return None
    kind = "matches" if hit.evidence and hit.evidence.inliers else "similarity"
    try:
        why = explain(query, hit.path, kind=kind, encoder=encoder)
    except (ImageError, ModelError):
        return None
    with Image.open(io.BytesIO(why.figure.encoded("png"))) as page:
        return thumbnail(np.asarray(page.convert("RGB")), _PAGE_SIDE)


def results_sheet(
    results: Iterable[SearchResult], target: Path, encoder: OnnxEncoder | None
) -> None:
    """Write one sheet for several searches, explained where there is an encoder to do it.

    Raises:
        OSError: the file cannot be written.
    """
    rows = [
        sheet_row(result, title=result.query, why=partial(explained, result.query, encoder=encoder))
        for result in results
    ]
    write_sheet(
        target,
        rows,
        title="glocal search",
        summary=f"{len(rows)} {'query' if len(rows) == 1 else 'queries'}",
    )
