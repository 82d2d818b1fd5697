"""Suppress the warnings of decoders while glocal itself decodes, and no others."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

_here = threading.local()


class _WhileDecoding:
    """Take the place of a warning filter's module pattern; match in threads that decode."""

    def match(self, _module: str) -> bool:
        """Say whether this thread is inside :func:`decoder_warnings_ignored`."""
        return getattr(_here, "depth", 0) > 0


_FILTER = ("ignore", None, Warning, _WhileDecoding(), 0)


@contextmanager
def decoder_warnings_ignored() -> Iterator[None]:
    """Ignore every warning this thread raises inside the block.

    Photos are full of small faults that Pillow warns of and reads past. ``catch_warnings`` is not
    made for threads: it swaps the one list of filters all threads share, and leaves it swapped
    when two blocks end in the wrong order. So one filter is put in front of that list for good,
    and looks at the thread it is asked in; the caller's own use of Pillow warns as before.
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
