"""A temporary folder of one process, which does not stay when that is killed."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import filelock

_LOCK = "lock"
_FRESH = 60.0  # seconds in which a folder that was just made may not have its lock yet


class PrivateFolder:
    """A new folder, locked until it is closed or its process ends, however it ends.

    Making one removes those with the same prefix that nobody locks any more.

    Args:
        prefix: of its name.

    Attributes:
        path: of the folder.
    """

    def __init__(self, prefix: str) -> None:
        for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            with suppress(OSError, filelock.Timeout):
                _remove_if_left(path)
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        self._lock = filelock.FileLock(self.path / _LOCK, thread_local=False)
        self._lock.acquire()

    def close(self) -> None:
        """Remove the folder."""
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)


def _remove_if_left(path: Path) -> None:
    found = path.lstat()
    own = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    if not (own and stat.S_ISDIR(found.st_mode)) or time.time() < found.st_mtime + _FRESH:
        return
    lock = filelock.FileLock(path / _LOCK)
    lock.acquire(timeout=0)
    lock.release()  # Windows removes no file that is open
    shutil.rmtree(path, ignore_errors=True)
