"""What a process of long work tells the server that started it: JSON lines on standard output."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any

from glocal.gallery import Progress

_EVERY = 0.25
"""Seconds between two reports of progress."""


def lower_priority(by: int) -> None:
    """Leave the processor to others where they want it; `by` is of Unix's niceness."""
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: not on Windows
        os.nice(by)


def tell(value: dict[str, Any]) -> None:
    """Tell one thing."""
    print(json.dumps(value), flush=True)


class Teller:
    """Tells the progress, not too often; the parent's end, a closed pipe, ends the work.

    Args:
        fields: of `Progress` that are told.
    """

    def __init__(self, *fields: str) -> None:
        self._fields = fields
        self._last = 0.0
        self._stage = ""

    def __call__(self, progress: Progress) -> None:
        """Tell how far it is, unless that was told a moment ago."""
        now = time.monotonic()
        if progress.stage != self._stage or now - self._last >= _EVERY:
            self._last, self._stage = now, progress.stage
            try:
                tell({"progress": {name: getattr(progress, name) for name in self._fields}})
            except BrokenPipeError:
                raise KeyboardInterrupt from None
