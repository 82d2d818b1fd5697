"""Files on disk that survive a power cut: what is written is synced before anything names it."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glocal.errors import DiskFullError


def replace_file(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a small file so that a reader, or a power cut, finds the old content or the new one.

    Args:
        path: of the file.
        data: its content.
        private: whether it is for its owner alone.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if private:
            os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT, 0o600))
        write_at(fresh, 0, data)
        fresh.replace(path)
        sync_folder(path.parent)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def write_at(path: Path, offset: int, data: bytes) -> None:
    """Write into a file, made when it is not there, and wait until the disk has it.

    Raises:
        DiskFullError: there is no space for it.
    """
    with explained(path):
        new = not path.exists()
        with path.open("wb" if new else "r+b", buffering=0) as file:
            file.seek(offset)
            file.write(data)
            sync(file.fileno())
        if new:
            sync_folder(path.parent)


def sync(descriptor: int) -> None:
    """Wait until the disk has what was written to an open file.

    On macOS `fsync` returns while the disk may still keep it in a cache that a power cut empties.
    """
    if sys.platform == "darwin":
        import fcntl

        with contextlib.suppress(OSError):  # as on a network's file system: there fsync is all
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder; Windows keeps them with the files."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say that the disk is full where it is."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"no space left to write {path}") from error
        raise


def disk_bytes(folder: Path) -> int:
    """Bytes a folder takes on its disk; holes in files take none."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # gone meanwhile
            found = path.lstat()
            total += found.st_blocks * 512 if hasattr(found, "st_blocks") else found.st_size
    return total
