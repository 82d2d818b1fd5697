"""The process of an index run that a server started: its progress goes to standard output.

A run has a process of its own so that no picture of a folder can harm the server, that searches
keep their share of the machine, and that Ctrl-C (SIGINT), which loses nothing, can stop it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from glocal.errors import GlocalError
from glocal.gallery import Gallery, Progress
from glocal.gallery.results import IndexReport
from glocal.images import Limits

_EVERY = 0.25
"""Seconds between two reports of progress."""
_WAIT = 600.0
_MOST_SKIPPED = 1_000


def main() -> None:
    """Index one path: ``GALLERY PATH MAX_BYTES MAX_PIXELS``."""
    folder, path, max_bytes, max_pixels = sys.argv[1:]
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: not on Windows
        os.nice(5)
    limits = Limits(max_bytes=int(max_bytes), max_pixels=int(max_pixels))
    try:
        with Gallery(folder, create=False, timeout=_WAIT, limits=limits) as gallery:
            report = gallery.add(Path(path), listen=_Teller())
    except GlocalError as error:
        _tell({"error": str(error)})
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    _tell({"report": _plain(report)})


class _Teller:
    """Tells the progress, not too often; the parent's end, a closed pipe, ends the run."""

    def __init__(self) -> None:
        self._last = 0.0
        self._stage = ""

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.stage != self._stage or now - self._last >= _EVERY:
            self._last, self._stage = now, progress.stage
            fields = ("stage", "done", "total", "unchanged", "failed")
            try:
                _tell({"progress": {name: getattr(progress, name) for name in fields}})
            except BrokenPipeError:
                raise KeyboardInterrupt from None


def _plain(report: IndexReport) -> dict[str, Any]:
    return {
        "added": report.added,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "failed": len(report.failed),
        "skipped": [
            {"path": str(failure.path), "reason": failure.reason}
            for failure in report.failed[:_MOST_SKIPPED]
        ],
        "seconds": round(report.seconds, 3),
    }


def _tell(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
