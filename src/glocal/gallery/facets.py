"""What a gallery's images can be narrowed down by: folders, months, cameras, places."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from glocal.gallery.browsing import Browser
from glocal.images.url_paths import as_path

_EPOCH, _DAY, _BEFORE = date(1970, 1, 1), 86_400, 1_000_000  # seconds, days
_MOST_PLACES = 4_000
_MOST_CAMERAS = 500
_MOST_FOLDERS = 10_000


@dataclass(frozen=True, slots=True)
class FolderCount:
    """A folder, the nearest listed folder above it, and how many files lie in it and below."""

    path: Path
    parent: Path | None
    files: int


@dataclass(frozen=True, slots=True)
class PlaceCount:
    """Images taken close together: their middle in degrees, how many, and one of them."""

    latitude: float
    longitude: float
    images: int
    example: UUID


@dataclass(frozen=True, slots=True)
class Facets:
    """What there is to filter by.

    Attributes:
        folders: at and below what was asked to be indexed, parents before children.
        months: ``YYYY-MM`` and how many images were taken then, the latest first.
        undated: images that do not say when they were taken.
        cameras: name and number of images, most first.
        places: at most a few thousand; close ones are put together until they are that few.
    """

    folders: tuple[FolderCount, ...]
    months: tuple[tuple[str, int], ...]
    undated: int
    cameras: tuple[tuple[str, int], ...]
    places: tuple[PlaceCount, ...]


def read_facets(browser: Browser) -> Facets:
    """Count a gallery's folders, months, cameras and places; 0.1 s in 100,000 images."""
    undated = browser.rows("SELECT COUNT(*) FROM contents WHERE taken IS NULL")
    cameras = browser.rows(
        "SELECT camera, COUNT(*) AS images FROM contents WHERE camera IS NOT NULL "
        "GROUP BY camera ORDER BY images DESC, camera LIMIT ?",
        (_MOST_CAMERAS,),
    )
    return Facets(
        _folders(browser),
        _months(browser),
        int(undated[0][0]),
        tuple((str(name), count) for name, count in cameras),
        _places(browser),
    )


def _months(browser: Browser) -> tuple[tuple[str, int], ...]:
    """By days in the database, whose words for months differ, and by months here."""
    days = browser.rows(
        "SELECT (taken + ?1) / ?2, COUNT(*) FROM contents WHERE taken IS NOT NULL GROUP BY 1",
        (_BEFORE * _DAY, _DAY),  # so that no number is negative, which is rounded up
    )
    months: dict[str, int] = {}
    for day, count in days:
        with suppress(OverflowError):  # a year that no calendar has
            month = (_EPOCH + timedelta(days=int(day) - _BEFORE)).isoformat()[:7]
            months[month] = months.get(month, 0) + count
    return tuple(sorted(months.items(), reverse=True))


def _folders(browser: Browser) -> tuple[FolderCount, ...]:
    """Sums over each folder and all below it, for the folders at or below a root."""
    rows = browser.rows("SELECT id, path, parent FROM folders ORDER BY path")
    paths = {number: bytes(path) for number, path, _ in rows}
    parents = {number: parent for number, _, parent in rows}
    roots = {bytes(path) for (path,) in browser.rows("SELECT path FROM roots")}
    direct = dict(
        browser.rows("SELECT folder, COUNT(*) FROM files WHERE content IS NOT NULL GROUP BY folder")
    )
    sums: dict[int, int] = {}
    for folder, files in direct.items():
        for above in _lineage(folder, parents):
            sums[above] = sums.get(above, 0) + files
    listed: dict[int, FolderCount] = {}
    for number, path in paths.items():
        lineage = _lineage(number, parents)
        # A root that is a file has its folder listed, which then holds a file directly.
        if number in sums and (number in direct or any(paths[a] in roots for a in lineage)):
            parent = next((listed[above].path for above in lineage[1:] if above in listed), None)
            listed[number] = FolderCount(as_path(os.fsdecode(path)), parent, sums[number])
    return tuple(listed.values())[:_MOST_FOLDERS]


def _lineage(folder: int, parents: dict[int, int | None]) -> list[int]:
    line: list[int] = []
    at: int | None = folder
    while at is not None:
        line.append(at)
        at = parents.get(at)
    return line


def _places(browser: Browser) -> tuple[PlaceCount, ...]:
    """All places, or as many cells of a grid as are few enough to be drawn."""
    rows: list[tuple[Any, ...]] = []
    for decimals in (4, 3, 2, 1, 0):
        rows = browser.rows(
            "SELECT AVG(latitude), AVG(longitude), COUNT(*), MIN(id) FROM contents "
            "WHERE latitude IS NOT NULL AND longitude IS NOT NULL "
            "GROUP BY ROUND(latitude * ?1), ROUND(longitude * ?1) ORDER BY COUNT(*) DESC LIMIT ?2",
            (10.0**decimals, _MOST_PLACES + 1),
        )
        if len(rows) <= _MOST_PLACES:
            break
    return tuple(
        PlaceCount(latitude, longitude, count, UUID(bytes=example))
        for latitude, longitude, count, example in rows[:_MOST_PLACES]
    )
