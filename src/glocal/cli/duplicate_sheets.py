"""Pages to look through the groups of `glocal duplicates`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from glocal.cli.output import readable_bytes
from glocal.cli.sheets import small
from glocal.explain.sheet import SheetHit, SheetRow, write_sheet
from glocal.gallery import DuplicateGroup
from glocal.gallery.duplicate_rows import Row, rows

GROUPS_A_PAGE = 100
"""Some five megabytes with thumbnails: what a browser opens at once."""

MOST_GROUPS = 3000
"""Who looks through more? The plan and the JSON have them all."""

MOST_OTHERS = 40
_SIDE = 200
_KEPT_SIDE = 360


def duplicate_sheets(groups: Sequence[DuplicateGroup], level: str, target: Path) -> Iterator[Path]:
    """Write the groups as pages that link to one another, and yield each when it is written.

    Raises:
        OSError: one cannot be written.
    """
    shown = groups[:MOST_GROUPS]
    starts = range(0, max(len(shown), 1), GROUPS_A_PAGE)
    pages = [_page(target, number) for number in range(1, len(starts) + 1)]
    links = [
        (str(n), quote(page.name.encode(errors="surrogateescape")))
        for n, page in enumerate(pages, 1)
    ]
    freed = readable_bytes(sum(group.bytes_to_free for group in groups))
    for number, start in enumerate(starts, start=1):
        summary = f"{len(groups)} groups at level {level}; {freed} could be freed."
        if len(pages) > 1:
            summary += f" Page {number} of {len(pages)}."
        if len(shown) < len(groups):
            summary += f" Only the first {len(shown)} groups are shown; --plan and --json have all."
        rows = [_row(group) for group in shown[start : start + GROUPS_A_PAGE]]
        write_sheet(
            pages[number - 1],
            rows,
            title="glocal duplicates",
            summary=summary,
            links=links if len(pages) > 1 else (),
        )
        yield pages[number - 1]


def _page(target: Path, number: int) -> Path:
    return target if number == 1 else target.with_stem(f"{target.stem}-{number}")


def _row(group: DuplicateGroup) -> SheetRow:
    kept, *others = rows(group)
    more = len(others) - MOST_OTHERS
    image = kept.image
    size = f"{image.width} × {image.height}, {readable_bytes(image.bytes)}"
    note = f"{kept.action.label.capitalize()}: {size}, {kept.path}"
    if more > 0:
        note += f" ({more} more files of this group are not shown)"
    hits = [_hit(other) for other in others[:MOST_OTHERS]]
    return SheetRow(kept.path.name, small(kept.path, _KEPT_SIDE), hits, note)


def _hit(row: Row) -> SheetHit:
    image = row.image
    agree = ""
    if image.inliers and row.path == image.path:
        agree = f", {image.inliers} local features agree"
    size = f"{image.width} × {image.height}, {readable_bytes(image.bytes)}"
    return SheetHit(
        path=str(row.path),
        score=row.copy_probability,
        caption=f"{row.verdict}{agree}; {size}: {row.action.label}",
        thumbnail=small(row.path, _SIDE),
    )
