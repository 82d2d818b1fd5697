"""What a long-running process reports to its server: lines of JSON on standard output."""

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
    """Lower the priority of this process; `by` is added to its niceness on Unix."""
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: not on Windows
        os.nice(by)


def report(value: dict[str, Any]) -> None:
    """Report one value."""
    print(json.dumps(value), flush=True)


class ProgressReporter:
    """Reports the progress, not too often; the end of the server, a closed pipe, ends the work.

    Args:
        fields: the fields of `Progress` that are reported.
    """

    def __init__(self, *fields: str) -> None:
        self._fields = fields
        self._last = 0.0
        self._stage = ""

    def __call__(self, progress: Progress) -> None:
        """Report the progress, unless it was reported a moment ago."""
        now = time.monotonic()
        if progress.stage != self._stage or now - self._last >= _EVERY:
            self._last, self._stage = now, progress.stage
            try:
                report({"progress": {name: getattr(progress, name) for name in self._fields}})
            except BrokenPipeError:
                raise KeyboardInterrupt from None
