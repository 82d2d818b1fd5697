"""A lock between processes, for the few moments at which a gallery's files change their form.

It is the operating system's (through filelock), so it goes when its process does, however that
ends. Everyday changes need none: writers take turns by the transaction (`Database.change`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from glocal.errors import GalleryError, GalleryLockedError


@contextmanager
def locked(path: Path, what: str, timeout: float) -> Iterator[None]:
    """Hold a lock on a file, made when it is not there.

    Args:
        path: of the file.
        what: what it protects, for the error's text.
        timeout: seconds to wait for another process.

    Raises:
        GalleryLockedError: another process kept it all that time.
        GalleryError: the file cannot be made or opened, as in a folder that can only be read.
    """
    lock = filelock.FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=timeout, poll_interval=0.02)
    except filelock.Timeout as error:
        raise GalleryLockedError(
            f"{what} is in use by another process; wait for it to end, or end it, and try again"
        ) from error
    except OSError as error:
        raise GalleryError(
            f"{what} cannot be changed: {path}: {error.strerror or error}; make its folder writable"
        ) from error
    try:
        yield
    finally:
        lock.release()
