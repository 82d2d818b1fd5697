"""A cache of small versions of images, in a folder of bounded size."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

_log = logging.getLogger(__name__)
_KEEP = 0.8  # share of the bound that is left after deleting
_FRESH = 86_400.0  # seconds for which a thumbnail counts as just used


class ThumbnailCache:
    """Thumbnails on disk, by image and size; those not used for the longest time are deleted first.

    Args:
        folder: of the cache; created with the first thumbnail.
        most_bytes: size that the cache may reach.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most = most_bytes
        self._lock = threading.Lock()
        self._bytes: int | None = None

    def get(self, image: UUID, size: int) -> bytes | None:
        """A thumbnail, or `None` if the cache does not have it."""
        path = self._path(image, size)
        try:
            data = path.read_bytes()
            if time.time() - path.stat().st_mtime > _FRESH:
                os.utime(path)
        except OSError:
            return None
        return data or None

    def put(self, image: UUID, size: int, data: bytes) -> None:
        """Store a thumbnail; a full disk is not an error."""
        path = self._path(image, size)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh.write_bytes(data)
            fresh.replace(path)
        except OSError as error:
            _log.warning("a thumbnail cannot be written to %s: %s", self._folder, error.strerror)
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            return
        with self._lock:
            known = self._bytes
            self._bytes = None if known is None else known + len(data)
            if self._bytes is None or self._bytes > self._most:
                self._bytes = self._make_room()

    def remove(self, image: UUID, sizes: Iterable[int]) -> None:
        """Delete an image's thumbnails."""
        for size in sizes:
            with contextlib.suppress(OSError):
                self._path(image, size).unlink(missing_ok=True)

    def _path(self, image: UUID, size: int) -> Path:
        name = image.hex
        return self._folder / name[:2] / f"{name}-{size}.jpg"

    def _make_room(self) -> int:
        """If needed, delete what was not used for the longest time; returns the bytes left."""
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.glob("*/*"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                found.append((facts.st_mtime, facts.st_size, path))
        total = sum(size for _, size, _ in found)
        if total <= self._most:
            return total
        for _, size, path in sorted(found):
            if total <= self._most * _KEEP:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size
        return total
