"""Read bytes from files, streams and URLs: bounded, and never waiting for a pipe or a device."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable

from glocal.errors import ImageError, ImageMissingError
from glocal.images.limits import Limits
from glocal.images.url_paths import UrlPath

_CHUNK = 4 * 2**20
_DESCRIPTOR = re.compile(r"/dev/(fd/[0-9]+|stdin)|/proc/self/fd/[0-9]+")

# O_NONBLOCK: opening a FIFO without a writer would wait for ever. O_NOCTTY: a terminal named
# photo.jpg must not become ours. Windows has neither, and needs to be told that it is binary.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def read_bytes(source_path: str | os.PathLike[str], limits: Limits) -> bytes:
    """Read a regular file, what this process was given open, or a `UrlPath`, within limits.

    The text of an error is the reason alone, for lists of ``file: reason``; the path is a note.

    Raises:
        ImageMissingError: The file does not exist.
        ImageError: It is not a regular file, is empty or too large, or cannot be read.
    """
    try:
        if isinstance(source_path, UrlPath):
            from glocal.images.urls import read_url  # fsspec is for URLs alone

            return read_url(source_path, limits)
        if is_descriptor(source_path):
            return _read_descriptor(source_path, limits)
        return _read_regular(source_path, limits)
    except ImageError as error:
        error.add_note(f"image: {os.fsdecode(source_path)}")
        raise


def read_stream(read: Callable[[int], object], limits: Limits) -> bytes:
    """Read a binary stream from its current position to its end, at most ``limits.max_bytes``.

    Args:
        read: The stream's method ``read``.
        limits: How much may be read.

    Raises:
        ImageError: It cannot be read, does not yield bytes, is empty or too large.
    """
    try:
        data = _read_at_most(read, limits.max_bytes + 1)
    except (OSError, ValueError) as error:
        raise ImageError(f"not readable: {reason_of(error)}") from error
    limits.check_bytes(len(data))
    return data


def reason_of(error: OSError | ValueError) -> str:
    """Return the reason of a system error, in the system's words and without the path."""
    strerror = error.strerror if isinstance(error, OSError) else None
    return (strerror or str(error) or type(error).__name__).lower()


def is_descriptor(path: str | os.PathLike[str]) -> bool:
    """Whether a path names something that this process was given open, as ``<(cat a.jpg)`` does."""
    return _DESCRIPTOR.fullmatch(os.fsdecode(path)) is not None


def _read_descriptor(path: str | os.PathLike[str], limits: Limits) -> bytes:
    """Read to the end of what is open; unlike a pipe in a folder, somebody writes to it."""
    try:
        with open(path, "rb", buffering=0) as file:
            if stat.S_ISDIR(os.fstat(file.fileno()).st_mode):
                raise ImageError("is a directory")
            return read_stream(file.read, limits)
    except OSError as error:
        raise ImageError(f"not readable: {reason_of(error)}") from error


def _read_regular(path: str | os.PathLike[str], limits: Limits) -> bytes:
    try:
        descriptor = os.open(path, _FLAGS)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageMissingError("no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if os.path.isdir(path):  # Windows says "permission denied" of a folder
            raise ImageError("is a directory") from error
        raise ImageError(f"not readable: {reason_of(error)}") from error
    try:
        status = os.fstat(descriptor)
        _refuse_irregular(status.st_mode)
        limits.check_bytes(status.st_size)
        # One byte more than fits tells a file that grew meanwhile from one that just fits.
        data = _read_at_most(lambda size: os.read(descriptor, size), limits.max_bytes + 1)
    except OSError as error:
        raise ImageError(f"not readable: {reason_of(error)}") from error
    finally:
        os.close(descriptor)
    limits.check_bytes(len(data))
    return data


def _read_at_most(read: Callable[[int], object], limit: int) -> bytes:
    chunks: list[bytes] = []
    left = limit
    while left > 0:
        chunk = read(min(left, _CHUNK))
        if not isinstance(chunk, bytes):  # None: it would have to wait; str: a text stream
            raise ImageError("not readable: the stream doesn't yield bytes; open it in binary mode")
        if not chunk:
            break
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def _refuse_irregular(mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise ImageError("is a directory")
    kinds = {
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    raise ImageError(f"not a regular file but {kinds.get(stat.S_IFMT(mode), 'something else')}")
