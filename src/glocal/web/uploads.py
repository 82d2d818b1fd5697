"""Uploaded images, kept on disk for refining and explaining a search and for its link."""

from __future__ import annotations

import base64
import contextlib
import hmac
import logging
import os
import re
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from glocal.gallery.describing import content_id

_TOKEN = re.compile(r"u-[A-Za-z0-9_-]{22}")
_SECRET_BYTES = 32
_KEEP = 0.8  # share of the bound that is left after deleting
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """An encoded image as it was sent, and the id that the gallery would give to it."""

    data: bytes
    content: UUID


class Uploads:
    """Uploads by ids that cannot be guessed and outlive the server; any thread may call.

    An id stands for the content: the same image, sent again, has the same one. Those not used for
    the longest time are deleted first.

    Args:
        folder: that only this user can read; created with the first upload.
        most_bytes: size of all kept uploads; 0 keeps none.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most = most_bytes
        self._lock = threading.Lock()
        self._secret: bytes | None = None

    def keep(self, data: bytes) -> str:
        """Keep an image and return its id; a full disk is not an error."""
        with self._lock:
            try:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                name = self._id(data)
                path = self._folder / name
                if self._most and not path.exists():
                    self._make_room(len(data))
                    fresh = self._folder / f".{secrets.token_hex(8)}"
                    fresh.write_bytes(data)
                    fresh.replace(path)
                return name
            except OSError as error:
                _log.warning("an upload cannot be kept in %s: %s", self._folder, error.strerror)
                return "u-" + secrets.token_urlsafe(16)

    def get(self, name: str) -> Upload | None:
        """An upload, or `None`; each use keeps it longer."""
        if not is_upload(name):
            return None
        path = self._folder / name
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return Upload(data, content_id(data))

    def _id(self, data: bytes) -> str:
        """The id of a content: without the folder's secret nobody can tell it from the image."""
        if self._secret is None:
            self._secret = _secret_of(self._folder / ".secret")
        digest = hmac.digest(self._secret, data, "sha256")[:16]
        return "u-" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _make_room(self, more: int) -> None:
        found: list[tuple[int, int, Path]] = []
        for path in self._folder.glob("u-*"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                found.append((facts.st_mtime_ns, facts.st_size, path))
        total = more + sum(size for _, size, _ in found)
        if total <= self._most:
            return
        for _, size, path in sorted(found):
            if total <= self._most * _KEEP:
                return
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size


def _secret_of(path: Path) -> bytes:
    """The secret of a folder, made when there is none; two servers that begin at once agree."""
    for _ in range(2):
        with contextlib.suppress(FileNotFoundError):
            known = path.read_bytes()
            if len(known) == _SECRET_BYTES:
                return known
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
        fresh.replace(path)
    return path.read_bytes()


def is_upload(name: str) -> bool:
    """Whether an id is that of an upload."""
    return _TOKEN.fullmatch(name) is not None
