"""Uploaded images, kept for a while for refining and explaining a search."""

from __future__ import annotations

import re
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from glocal.gallery.describing import content_id

_SECONDS = 3600.0
_TOKEN = re.compile(r"u-[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """An encoded image as it was sent, and the id that the gallery would give to it."""

    data: bytes
    content: UUID


class Uploads:
    """Uploads by ids that cannot be guessed; the oldest are dropped if there are too many.

    Args:
        most: number of uploads that are kept.
        most_bytes: size of all kept uploads.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, tuple[Upload, float]] = OrderedDict()

    def keep(self, data: bytes) -> str:
        """Keep an image and return its id."""
        name = "u-" + secrets.token_urlsafe(16)
        self._kept[name] = (Upload(data, content_id(data)), time.monotonic() + _SECONDS)
        self._bytes += len(data)
        while self._kept and (len(self._kept) > self._most or self._bytes > self._most_bytes):
            self._drop(next(iter(self._kept)))
        return name

    def get(self, name: str) -> Upload | None:
        """An upload, or `None`; each use keeps it longer."""
        now = time.monotonic()
        while self._kept and next(iter(self._kept.values()))[1] < now:
            self._drop(next(iter(self._kept)))
        found = self._kept.get(name)
        if found is None:
            return None
        self._kept[name] = (found[0], now + _SECONDS)
        self._kept.move_to_end(name)
        return found[0]

    def _drop(self, name: str) -> None:
        self._bytes -= len(self._kept.pop(name)[0].data)


def is_upload(name: str) -> bool:
    """Whether an id is that of an upload."""
    return _TOKEN.fullmatch(name) is not None
