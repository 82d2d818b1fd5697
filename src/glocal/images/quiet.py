"""Suppress the warnings of decoders while glocal itself decodes, and no others."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

_here = threading.local()
_own_process = False


class _WhileDecoding:
    """Take the place of a warning filter's module pattern; match in threads that decode."""

    def match(self, _module: str) -> bool:
        """Return whether this thread is inside :func:`decoder_warnings_ignored`."""
        return getattr(_here, "depth", 0) > 0


_FILTER = ("ignore", None, Warning, _WhileDecoding(), 0)


@contextmanager
def decoder_warnings_ignored() -> Iterator[None]:
    """Ignore every warning that this thread raises inside the block.

    Many photos have small faults that Pillow warns about and then ignores. ``catch_warnings`` does
    not work with threads: it replaces the one list of filters that all threads share, and leaves it
    replaced when two blocks end in the wrong order. One filter is therefore put in front of that
    list permanently, and checks which thread it is called in. The calling program's own use of
    Pillow warns as before.
    """
    filters = cast("list[object]", warnings.filters)
    if not filters or filters[0] is not _FILTER:
        # Again each time others came in front, or a test runner put its own list in place.
        filters.insert(0, _FILTER)
    _here.depth = getattr(_here, "depth", 0) + 1
    try:
        yield
    finally:
        _here.depth -= 1


def own_this_process() -> None:
    """Note that this process is glocal's own, so that decoders may be silenced for all of it."""
    global _own_process  # noqa: PLW0603 - it is a fact about the process
    _own_process = True


def silence_libtiff() -> None:
    """Let libtiff write nothing to standard error, in a process of glocal's own.

    What is wrong with a file comes back as an error as well. Other programs keep what they have.
    """
    if not _own_process:
        return
    import ctypes
    from pathlib import Path

    import PIL

    package = Path(PIL.__file__).parent
    folders = package.parent / "pillow.libs", package / ".dylibs"  # Linux, macOS
    for path in (path for folder in folders for path in folder.glob("libtiff*")):
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(str(path))
            for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
                setter = getattr(library, name)
                setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
                setter(None)
