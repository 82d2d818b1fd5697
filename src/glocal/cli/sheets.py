"""Contact sheets of search results."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from glocal.encoders import OnnxEncoder
from glocal.errors import ImageError, ModelError
from glocal.explain import explain
from glocal.explain.sheet import SheetHit, SheetRow, thumbnail, write_sheet
from glocal.gallery import GalleryHit, Hit, SearchResult
from glocal.images import load
from glocal.ranking.evidence import Evidence

Box = tuple[float, float, float, float]

_HIT_SIDE = 240
_QUERY_SIDE = 480
_EXPLAINED = 3  # hits of each query; each adds some 200 kB to the sheet
_PAGE_SIDE = 1400


def small(path: str | Path, side: int, box: Box | None = None) -> bytes | None:
    """A thumbnail of a file as JPEG, or `None` if the file cannot be read as an image.

    Args:
        path: Path of the file.
        side: Greatest length of the longer side, in pixels.
        box: X, Y, W, H of a region to frame, in fractions of the image.
    """
    try:
        array = load(path, min_side=side).array
    except ImageError:
        return None
    return thumbnail(array if box is None else _framed(array, box), side)


def _framed(array: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """The image with a frame around a region, light on dark to be seen on any photo."""
    drawn = Image.fromarray(array)
    width, height = drawn.size
    unit = max(width, height) // 120 + 1
    x, y, w, h = box
    left, top = round(x * width), round(y * height)
    right, bottom = round((x + w) * width) - 1, round((y + h) * height) - 1
    draw = ImageDraw.Draw(drawn)
    draw.rectangle((left, top, right, bottom), outline="black", width=3 * unit)
    draw.rectangle(
        (left + unit, top + unit, right - unit, bottom - unit), outline="white", width=unit
    )
    return np.asarray(drawn)


def evidence_in_words(evidence: Evidence | None) -> str:
    """What geometric verification found, for people: ``copy, 57 inliers``."""
    if evidence is None:
        return ""
    if not evidence.inliers:
        return evidence.verdict.label
    return f"{evidence.verdict.label}, {evidence.inliers} inliers"


def _caption(hit: Hit) -> str:
    """Evidence and, of several galleries, the names of those that have the image."""
    folders = hit.galleries if isinstance(hit, GalleryHit) else ()
    said = [evidence_in_words(hit.evidence), *(folder.name for folder in folders)]
    return "; ".join(filter(None, said))


def _where(hit: Hit) -> Box | None:
    """The region to frame: of a hit that is merely similar, it would claim what is not there."""
    said = hit.evidence is None or hit.evidence.verdict.is_match
    return hit.box if said else None


def sheet_row(
    result: SearchResult,
    *,
    title: str,
    expected: Path | None = None,
    relative_to: Path | None = None,
    explain_hit: Callable[[Hit], bytes | None] | None = None,
) -> SheetRow:
    """One query and its hits.

    Args:
        result: Result of the search.
        title: Title of the row.
        expected: Path of the correct hit; every hit is then marked as correct or wrong.
        relative_to: Folder that contains all hits; their paths are shown relative to it.
        explain_hit: Draws why a hit was found as JPEG; called for the first three hits.
    """
    hits = [
        SheetHit(
            path=str(hit.path if relative_to is None else hit.path.relative_to(relative_to)),
            score=hit.score,
            caption=_caption(hit),
            thumbnail=small(hit.path, _HIT_SIDE, _where(hit)),
            correct=None if expected is None else hit.path == expected,
            explanation=explain_hit(hit) if explain_hit and hit.rank <= _EXPLAINED else None,
        )
        for hit in result.hits
    ]
    matches = None if result.found is None else result.matches
    return SheetRow(title, small(result.query, _QUERY_SIDE), hits, matches=matches)


def explained(query: str, hit: Hit, encoder: OnnxEncoder | None) -> bytes | None:
    """Draw why a hit was found, as JPEG: its inliers, or else each region's share in the score.

    `None` if one of the images cannot be read any more or the model gives no contributions.
    """
    if encoder is None:
        return None
    kind = "matches" if hit.evidence and hit.evidence.inliers else "similarity"
    try:
        explanation = explain(query, hit.path, kind=kind, encoder=encoder)
    except (ImageError, ModelError):
        return None
    with Image.open(io.BytesIO(explanation.figure.encoded("png"))) as page:
        return thumbnail(np.asarray(page.convert("RGB")), _PAGE_SIDE)


def _explained(
    query: str, encoder_of: Callable[[Hit], OnnxEncoder | None], hit: Hit
) -> bytes | None:
    return explained(query, hit, encoder_of(hit))


def results_sheet(
    results: Iterable[SearchResult], target: Path, encoder_of: Callable[[Hit], OnnxEncoder | None]
) -> None:
    """Write one sheet for several searches.

    Args:
        results: of the searches.
        target: path of the sheet.
        encoder_of: gives the model that explains a hit; `None` where it is not to be explained.

    Raises:
        OSError: The file cannot be written.
    """
    rows = [
        sheet_row(
            result,
            title=result.query,
            explain_hit=partial(_explained, result.query, encoder_of),
        )
        for result in results
    ]
    write_sheet(
        target,
        rows,
        title="glocal search",
        summary=f"{len(rows)} {'query' if len(rows) == 1 else 'queries'}",
    )
