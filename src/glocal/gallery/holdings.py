"""What a file holds besides the one image that is compared.

A document of twelve pages, an animation, a camera's raw data or a live photo shows in a gallery as
one image. It is never superfluous beside a file that shows that image alone.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from glocal.errors import ImageError
from glocal.images.formats import detect, is_raw_name, open_header
from glocal.images.quiet import decoder_warnings_ignored
from glocal.images.raw import is_raw_tiff

_FILMS = frozenset((".mov", ".mp4", ".m4v", ".3gp"))
_NOTES = frozenset((".xmp", ".aae", ".thm", ".wav"))
_SETTLED = 5e9  # nanoseconds
_TRAILING = 16 * 1024  # bytes behind a JPEG's end that are more than padding


class Holding(StrEnum):
    """What a file holds; the values are codes for programs."""

    IMAGE = "image"
    PAGES = "pages"
    ANIMATION = "animation"
    RAW = "raw"
    IMAGES = "images"
    FILM = "film"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Held:
    """What a file holds.

    Attributes:
        kind: one image alone, or something more.
        count: of images, pages or frames.
    """

    kind: Holding = Holding.IMAGE
    count: int = 1

    @property
    def alone(self) -> bool:
        """Whether it is one image and nothing else."""
        return self.kind is Holding.IMAGE

    def __str__(self) -> str:
        return {
            Holding.IMAGE: "one image",
            Holding.PAGES: f"{self.count} pages",
            Holding.ANIMATION: f"an animation of {self.count} frames",
            Holding.RAW: "a camera's raw data",
            Holding.IMAGES: f"{self.count} images",
            Holding.FILM: "a film beside the image",
            Holding.UNKNOWN: "more than could be read",
        }[self.kind]


def held(data: bytes, name: str | os.PathLike[str]) -> Held:
    """What a file's bytes hold; what cannot be read may hold anything.

    Args:
        data: of the whole file.
        name: of the file, since most camera RAW is TIFF by its bytes.
    """
    found = detect(data)
    if found == "RAW" or (found == "TIFF" and (is_raw_name(name) or is_raw_tiff(data))):
        return Held(Holding.RAW)
    if found is None:
        return Held(Holding.UNKNOWN)
    try:
        with decoder_warnings_ignored():
            if found == "JPEG":
                return _held_by_jpeg(data)
            with open_header(data, found) as opened:
                return _frames(opened, found, data)
    except (ImageError, OSError, ValueError, SyntaxError, RuntimeError, EOFError, KeyError):
        return Held(Holding.UNKNOWN)


def companions(path: Path) -> tuple[Path, ...]:
    """Files beside an image that belong to it: the film of a live photo, a note of its edits.

    They share its name but for the ending. A camera's raw data beside a JPEG is an image of its
    own, and no companion.
    """
    folder = path.parent
    try:
        changed = folder.stat().st_mtime_ns
        # Some file systems count in steps of two seconds: more may have changed within one.
        settled = abs(time.time_ns() - changed) > _SETTLED
        found = (_films_and_notes if settled else _films_and_notes.__wrapped__)(folder, changed)
    except OSError:
        return ()
    # IMG_1.mov, and IMG_1.jpg.xmp as some programs write it
    names = {path.stem.casefold(), path.name.casefold()}
    return tuple(sorted(each for name in names for each in found.get(name, ())))


@lru_cache(maxsize=256)
def _films_and_notes(folder: Path, _: int) -> dict[str, tuple[Path, ...]]:
    """The films and notes in a folder by their name but for the ending.

    Listed once for each time at which the folder has changed: otherwise, the files of one folder
    would take the square of their number.
    """
    found: dict[str, tuple[Path, ...]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            stem, ending = os.path.splitext(entry.name)
            if ending.casefold() in _FILMS | _NOTES:
                name = stem.casefold()
                found[name] = (*found.get(name, ()), Path(entry.path))
    return found


def _frames(opened: Any, found: str, data: bytes) -> Held:
    count = int(getattr(opened, "n_frames", 1))
    if found == "HEIF":
        return Held(Holding.IMAGES, count) if count > 1 else _held_by_heif(data)
    if count > 1:
        return Held(Holding.PAGES if found == "TIFF" else Holding.ANIMATION, count)
    if found == "PNG" and b"acTL" in data[:4096]:
        return Held(Holding.ANIMATION, 1)
    return Held()


def _held_by_heif(data: bytes) -> Held:
    # Depth, a map of highlights and the like are auxiliary images, which a re-save loses.
    return Held(Holding.IMAGES, 2) if b"auxC" in data[:65_536] else Held()


def _held_by_jpeg(data: bytes) -> Held:
    """One image, several (CIPA's multi-picture format), or a film behind its end."""
    end = _end_of_first(data)
    if b"MPF\x00" in data[: min(end, 1 << 20)]:
        import io

        from PIL import MpoImagePlugin

        try:
            with MpoImagePlugin.MpoImageFile(io.BytesIO(data)) as opened:
                count = int(opened.n_frames)
        except (OSError, ValueError, SyntaxError, KeyError, TypeError):
            count = 2  # it says that it has more, and not where
        if count > 1:
            return Held(Holding.IMAGES, count)
    rest = data[end:]
    if b"ftyp" in rest or b"MotionPhoto_Data" in rest:
        return Held(Holding.FILM)
    return Held(Holding.UNKNOWN) if len(rest.rstrip(b"\x00")) > _TRAILING else Held()


def _end_of_first(data: bytes) -> int:
    """Where the first image of a JPEG file ends: segments are skipped by their lengths."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xDA:
            break
        at += 2 if 0xD0 <= marker <= 0xD9 else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    # In coded data FF is followed by 00 or a restart; the first end marker is the image's.
    end = data.find(b"\xff\xd9", at)
    return len(data) if end < 0 else end + 2
