"""A contact sheet: one HTML file that shows queries and their hits.

The file is self-contained: its style is inline, its images are ``data:`` addresses, it has no
script, and its own content policy forbids every request. It can be mailed, printed and archived.
"""

from __future__ import annotations

import base64
import html
import io
import math
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from glocal.errors import ImageError
from glocal.explain.sheet_style import STYLE
from glocal.visible_text import visible

_JPEG_QUALITY = 82

_RIGHT = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 8.6 6.5 12 13 4.6"/></svg>'
_WRONG = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="m4 4 8 8m0-8-8 8"/></svg>'


@dataclass(frozen=True, slots=True)
class SheetHit:
    """One hit.

    Attributes:
        path: The image's path; any text that a file system can hold, surrogates of undecodable
            bytes included.
        score: Higher is more similar. Bars run from 0 to 1, or to the sheet's highest score
            where that is above 1 (a number of inliers).
        caption: A few words of evidence below the name.
        thumbnail: JPEG bytes, or None where the image can no longer be read.
        correct: Whether the hit is relevant, where that is known.
        explanation: JPEG bytes of a figure that explains the hit, shown on demand.
    """

    path: str
    score: float
    caption: str = ""
    thumbnail: bytes | None = None
    correct: bool | None = None
    explanation: bytes | None = None


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A query and its hits, best first.

    Attributes:
        title: The query's name, usually its file name.
        thumbnail: JPEG bytes of the query, or None where it cannot be shown.
        hits: The hits; may be empty.
        note: A line below the query, such as how long the search took.
        matches: How many of the first hits show the same thing as the query, where that is known;
            a heading then parts them from those that are merely similar.
    """

    title: str
    thumbnail: bytes | None
    hits: Sequence[SheetHit]
    note: str = ""
    matches: int | None = None


def thumbnail(array: NDArray[np.uint8], side: int = 240) -> bytes:
    """A small JPEG of an image.

    Args:
        array: ``(height, width, 3)`` uint8, RGB.
        side: Greatest length of the longer side, in pixels. A smaller image keeps its size.

    Returns:
        The bytes of a JPEG file with the image's aspect ratio.

    Raises:
        ImageError: The array is not such an image, or ``side`` is below 1.
    """
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or array.size == 0:
        raise ImageError(
            f"a thumbnail needs an RGB array of shape (height, width, 3) and dtype uint8, "
            f"not {array.shape} {array.dtype}; convert the image first"
        )
    if side < 1:
        raise ImageError(f"a thumbnail's side is {side} pixels; give at least 1")
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(array))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return jpeg.getvalue()


def write_sheet(
    path: str | os.PathLike[str],
    rows: Sequence[SheetRow],
    *,
    title: str,
    summary: str = "",
    links: Sequence[tuple[str, str]] = (),
) -> None:
    """Write the rows as one self-contained HTML file, in UTF-8.

    The file appears complete or not at all: a reader never gets half a sheet, and a failure leaves
    an older sheet of that name as it was. A device such as ``/dev/stdout`` is written directly.

    Args:
        path: The file to write; its folder must exist.
        rows: The queries, in the order in which they are shown.
        title: The page's title and main heading.
        summary: A line or two below the heading.
        links: Names and relative addresses of sheets that belong together, if there are several.

    Raises:
        OSError: The file cannot be written.
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        _write(target, rows, title, summary, links, mode="w")
        return
    # Not derived from the target's name, which may already be as long as a name can be.
    unfinished = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        _write(unfinished, rows, title, summary, links, mode="x")
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def _write(
    path: Path,
    rows: Sequence[SheetRow],
    title: str,
    summary: str,
    links: Sequence[tuple[str, str]],
    *,
    mode: str,
) -> None:
    with path.open(mode, encoding="utf-8", newline="\n") as file:
        file.writelines(_page(rows, title, summary, links))


def _page(
    rows: Sequence[SheetRow], title: str, summary: str, links: Sequence[tuple[str, str]]
) -> Iterator[str]:
    heading = _text(title)
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        '<meta name="color-scheme" content="light dark">\n'
        f'<title>{heading}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>\n{STYLE}</style>\n</head>\n<body>\n"
        f"<header>\n<h1><bdi>{heading}</bdi></h1>\n"
    )
    if summary:
        yield f"<p><bdi>{_text(summary)}</bdi></p>\n"
    yield "</header>\n"
    if links:
        names = (f'<a href="{_text(address)}">{_text(name)}</a>' for name, address in links)
        yield f'<nav aria-label="Pages">{" ".join(names)}</nav>\n'
    yield "<main>\n"
    full = _full_scale(rows)
    for number, row in enumerate(rows, start=1):
        yield from _row(row, number, full)
    if not rows:
        yield '<p class="none">There is nothing to show.</p>\n'
    yield "</main>\n</body>\n</html>\n"


def _row(row: SheetRow, number: int, full: float) -> Iterator[str]:
    name = _text(row.title)
    yield (
        f'<section aria-labelledby="row-{number}">\n<div class="query">\n'
        f'<div class="tile">{_image(row.thumbnail, f"Query: {row.title}")}</div>\n'
        f'<h2 id="row-{number}" title="{name}"><bdi>{name}</bdi></h2>\n'
    )
    if row.note:
        yield f'<p class="note"><bdi>{_text(row.note)}</bdi></p>\n'
    yield "</div>\n"
    if not row.hits:
        yield '<p class="none">Nothing was found.</p>\n'
    elif row.matches is None:
        yield from _hits(row.hits, 1, full)
    else:
        others = "Similar, but no match" if row.matches else "No match. The most similar images"
        found = f"Found in {row.matches} image{'s' if row.matches > 1 else ''}"
        yield '<div class="groups">\n'
        yield from _group(found, row.hits[: row.matches], 1, full)
        yield from _group(others, row.hits[row.matches :], row.matches + 1, full)
        yield "</div>\n"
    yield "</section>\n"


def _group(heading: str, hits: Sequence[SheetHit], first: int, full: float) -> Iterator[str]:
    if hits:
        yield f'<div style="--hits:{len(hits)}">\n<h3>{heading}</h3>\n'
        yield from _hits(hits, first, full)
        yield "</div>\n"


def _hits(hits: Sequence[SheetHit], first: int, full: float) -> Iterator[str]:
    yield f'<ol class="hits" start="{first}">\n'
    for rank, hit in enumerate(hits, start=first):
        yield _hit(hit, rank, full)
    yield "</ol>\n"


def _hit(hit: SheetHit, rank: int, full: float) -> str:
    whole = PurePath(hit.path)
    name, folder = whole.name or hit.path, str(whole.parent)
    score = _score(hit.score, full)
    parts = [
        f'<li title="{_text(hit.path)}"{_evaluated(hit.correct)}>\n<div class="tile">',
        _image(hit.thumbnail, name),
        f'<span class="rank"><span class="aside">Rank </span>{rank}</span>',
        _mark(hit.correct),
    ]
    parts.append(
        f'</div>\n<div class="score"><span class="bar" aria-hidden="true">'
        f'<span style="width:{_share(hit.score, full):.1f}%"></span></span>'
        f'<span><span class="aside">Score </span>{score}</span></div>\n'
        f'<p class="name" dir="ltr">{_text(name)}</p>\n'
    )
    if folder != ".":
        lines = _text(folder).replace(os.sep, f"{os.sep}<wbr>")
        parts.append(f'<p class="folder" dir="ltr"><span class="aside">In </span>{lines}</p>\n')
    if hit.caption:
        parts.append(f'<p class="note"><bdi>{_text(hit.caption)}</bdi></p>\n')
    if hit.explanation is not None:
        address = "data:image/jpeg;base64," + base64.b64encode(hit.explanation).decode("ascii")
        parts.append(
            '<details class="why"><summary>Why</summary>'
            f'<img src="{address}" alt="Why {_text(name)} was found" decoding="async"></details>\n'
        )
    parts.append("</li>\n")
    return "".join(parts)


def _image(jpeg: bytes | None, description: str) -> str:
    if jpeg is None:
        return '<span class="gone">No preview</span>'
    address = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
    return f'<img src="{address}" alt="{_text(description)}" decoding="async">'


def _evaluated(correct: bool | None) -> str:
    if correct is None:
        return ""
    return ' class="right"' if correct else ' class="wrong"'


def _mark(correct: bool | None) -> str:
    if correct is None:
        return ""
    sign, word = (_RIGHT, "Right") if correct else (_WRONG, "Wrong")
    return f'<span class="mark">{sign}<span class="aside">{word}</span></span>'


def _full_scale(rows: Sequence[SheetRow]) -> float:
    scores = [hit.score for row in rows for hit in row.hits if math.isfinite(hit.score)]
    return max([1.0, *scores])


def _share(score: float, full: float) -> float:
    """How much of its bar a score fills, in per cent."""
    return 100 * min(max(score / full, 0.0), 1.0) if math.isfinite(score) else 0.0


def _score(score: float, full: float) -> str:
    if not math.isfinite(score):
        return "none"
    # A minus sign is as wide as a digit; a hyphen is not.
    return (f"{score:.2f}" if full == 1.0 else f"{score:.4g}").replace("-", "−")


def _text(text: str) -> str:
    """The text as HTML: none of it is markup, and none of it is invisible."""
    return html.escape(visible(text), quote=True)
