"""A lock between processes that can say who holds it.

The lock itself is the operating system's (through filelock), so it goes when its process does,
however that ends. Beside it lies a note about the holder, which only ever serves an error's text
and the way to reach it; a stale note does no harm.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import filelock

from glocal.errors import GalleryLockedError

_NOTE_LIMIT = 64 * 1024
_log = logging.getLogger(__name__)


class NamedLock:
    """An exclusive lock on a file, with a note of its holder in a file beside it.

    Args:
        path: the lock file; made when it is not there.
        what: what the lock protects, for the error's text.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._lock = filelock.FileLock(path, thread_local=False)
        self._note = path.with_name(path.name + ".json")
        self._what = what

    def try_acquire(self, **more: Any) -> bool:
        """Take the lock if it is free; `more` is put into the note, readable by the user only."""
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        note = {
            "pid": os.getpid(),
            "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200],
            "since": datetime.now().astimezone().isoformat(timespec="seconds"),
            **more,
        }
        fresh = self._note.with_name(f".{self._note.name}.{os.getpid()}")
        try:
            # A file or link that lies there already may be somebody's who would read the note.
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(note, file)
            fresh.replace(self._note)
        except OSError as error:  # a full disk: the lock is what counts
            _log.warning("the holder of %s cannot be noted: %s", self._what, error)
            for path in (fresh, self._note):
                _unlink(path)
        return True

    def acquire(self, timeout: float) -> None:
        """Take the lock, waiting up to `timeout` seconds.

        Raises:
            GalleryLockedError: another process kept it all that time; the text says which.
        """
        ends = time.monotonic() + timeout
        while not self.try_acquire():
            if time.monotonic() >= ends:
                raise self.refusal()
            time.sleep(0.02)

    def refusal(self) -> GalleryLockedError:
        """The error that names the holder."""
        return GalleryLockedError(
            f"{self._what} is in use by {self.describe_holder()}; "
            "wait for it to end, or end it, and try again"
        )

    def holder(self) -> dict[str, Any]:
        """The note of the present or last holder; empty when there is none to read."""
        with (
            contextlib.suppress(OSError, ValueError, RecursionError),
            self._note.open(encoding="utf-8") as file,
        ):
            note = json.loads(file.read(_NOTE_LIMIT))
            if isinstance(note, dict):
                return note
        return {}

    def describe_holder(self) -> str:
        """The holder in words, fit for an error."""
        note = self.holder()
        if not note:
            return "another process"
        return f"process {note.get('pid')} ({note.get('command')}, since {note.get('since')})"

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return bool(self._lock.is_locked)

    def release(self) -> None:
        """Let go; fine when it is not held."""
        if self._lock.is_locked:
            _unlink(self._note)
            self._lock.release()


def _unlink(path: Path) -> None:
    """Remove a file if that is possible; the lock is what counts."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
