"""Several images of the gallery as one file: a table of them, or a ZIP archive with their files.

The archive is written while it is sent, one image at a time, so that its size costs no memory. An
image whose file has vanished or changed breaks nothing: the table at the end of the archive says
what became of each.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path, PurePath
from uuid import UUID

from glocal.errors import GlocalError
from glocal.images import has_image_suffix
from glocal.web.decoding import file_name
from glocal.web.problems import ProblemError, as_problem
from glocal.web.schemas import GalleryImage
from glocal.web.service import Service

TABLE = "images.csv"
"""The name of the table in an archive."""

COLUMNS = ("name", "path", "id", "width", "height", "bytes", "taken", "camera", "latitude",
           "longitude", "problem")  # fmt: skip
_LONGEST = 120  # characters of a name
_ENDINGS = {
    "image/jpeg": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "image/png": (".png",),
    "image/webp": (".webp",),
    "image/gif": (".gif",),
}
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)")
_TRIES = 60  # for a turn at the decoders, each a second after the other


def table(service: Service, names: Sequence[str]) -> bytes:
    """A table of images as CSV (RFC 4180) in UTF-8, one line for each id, in that order."""
    found = _images(service, names)
    rows = [
        _row(found[name].name, name, found[name])
        if name in found
        else _row("", name, problem=_UNKNOWN)
        for name in names
    ]
    return b"".join(_csv(rows))


def size(service: Service, names: Sequence[str]) -> int:
    """How many bytes the files of images have, as far as the gallery has the images."""
    return sum(image.bytes for image in _images(service, names).values())


async def archive(service: Service, names: Sequence[str]) -> AsyncIterator[bytes]:
    """A ZIP archive of the files of images, as `/v1/images/{id}/file` serves them, and a table."""
    found = await service.thread(lambda: _images(service, names))
    sink = _Sink()
    taken = {TABLE}
    rows = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as file:  # images are compressed already
        for name in names:
            if name not in found:
                rows.append(_row("", name, problem=_UNKNOWN))
                continue
            image = found[name]
            try:
                body, kind = await _file(service, name)
            except GlocalError as error:
                rows.append(_row("", name, image, as_problem(error).detail or ""))
                continue
            except ProblemError as problem:
                rows.append(_row("", name, image, problem.detail or ""))
                continue
            called = _unique(safe_name(image.name, kind), taken)
            rows.append(_row(called, name, image))
            await service.thread(partial(file.writestr, _entry(called, image.taken), body))
            del body
            yield sink.take()
        file.writestr(_entry(TABLE, None), b"".join(_csv(rows)), zipfile.ZIP_DEFLATED)
    yield sink.take()


def safe_name(name: str, kind: str) -> str:
    """A file name that every system can unpack, with an ending of its kind.

    Args:
        name: of the file on the server.
        kind: the media type of what is sent, into which it may have been converted.
    """
    plain = "".join(
        "_" if c in '<>:"/\\|?*' or unicodedata.category(c)[0] == "C" else c for c in name
    )
    path = PurePath(_RESERVED.sub(r"_\1", plain.strip(" .")) or "image")
    stem, ending = path.stem, path.suffix
    fitting = _ENDINGS.get(kind, (ending.lower(),))
    if ending.lower() not in fitting:
        stem = stem if has_image_suffix(name) else path.name
        ending = fitting[0]
    return stem[: _LONGEST - len(ending)] + ending


_UNKNOWN = "the gallery has no image with this id"


def cell(value: object) -> str:
    """A value of the table, which no spreadsheet takes for a formula (OWASP, CSV injection)."""
    if isinstance(value, datetime):
        return value.isoformat()
    text = "" if value is None else str(value)
    is_number = isinstance(value, int | float)
    return f"'{text}" if text[:1] in tuple("=+-@\t\r\n") and text and not is_number else text


def _images(service: Service, names: Sequence[str]) -> dict[str, GalleryImage]:
    found = service.browser.images(UUID(hex=name) for name in names)
    return {one.hex: service.image(shown) for one, shown in found.items()}


async def _file(service: Service, name: str) -> tuple[bytes, str]:
    """The file of an image and its media type; waits for as long as the decoders are busy."""
    for _ in range(_TRIES):
        try:
            async with service.image_turns.turn():
                data, path = await service.thread(lambda: service.original(service.shown(name)))
                return await service.own_decoders.plain(
                    data, keep=service.settings.positions, name=file_name(path)
                )
        except ProblemError as problem:
            if problem.status != 429:
                raise
        await asyncio.sleep(1)
    raise ProblemError(429, "the server was too busy to read the file")


class _Sink(io.RawIOBase):
    """What a ZIP archive is written to, and taken from bit by bit."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        """What was written since."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def _entry(name: str, taken: datetime | None) -> zipfile.ZipInfo:
    """An entry of an archive; ZIP knows years from 1980 to 2107."""
    when = taken if taken is not None and 1980 <= taken.year <= 2107 else datetime.now()
    entry = zipfile.ZipInfo(name, when.timetuple()[:6])
    entry.external_attr = 0o644 << 16
    return entry


def _unique(name: str, taken: set[str]) -> str:
    """A name that no earlier entry has, on systems either that ignore case."""
    path, number, candidate = PurePath(name), 2, name
    while candidate.casefold() in taken:
        candidate = f"{path.stem} ({number}){path.suffix}"
        number += 1
    taken.add(candidate.casefold())
    return candidate


def _row(
    called: str, name: str, image: GalleryImage | None = None, problem: str = ""
) -> tuple[object, ...]:
    if image is None:
        return (called, "", name, *("" for _ in COLUMNS[3:-1]), problem)
    latitude, longitude = image.position or (None, None)
    return (
        called, Path(image.path), name, image.width, image.height, image.bytes, image.taken,
        image.camera, latitude, longitude, problem,
    )  # fmt: skip


def _csv(rows: Sequence[tuple[object, ...]]) -> Iterator[bytes]:
    line = io.StringIO()
    writer = csv.writer(line)  # lines end with CR LF, as RFC 4180 has it
    yield b"\xef\xbb\xbf"  # without the mark Excel takes UTF-8 for something else
    for row in [COLUMNS, *rows]:
        writer.writerow([cell(value) for value in row])
        yield line.getvalue().encode()
        line.seek(0)
        line.truncate()
