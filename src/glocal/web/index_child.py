"""The process of an index run that a server started: its progress goes to standard output.

A run has a process of its own so that no image of a folder can harm the server, that searches
keep their share of the machine, and that Ctrl-C (SIGINT), which loses nothing, can stop it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from glocal.errors import GlocalError
from glocal.gallery import Gallery
from glocal.gallery.results import IndexReport
from glocal.images import Limits
from glocal.web.telling import Teller, lower_priority, tell

_WAIT = 600.0
_MOST_SKIPPED = 1_000


def main() -> None:
    """Index one path: ``GALLERY PATH MAX_BYTES MAX_PIXELS``."""
    folder, path, max_bytes, max_pixels = sys.argv[1:]
    lower_priority(10)
    limits = Limits(max_bytes=int(max_bytes), max_pixels=int(max_pixels))
    teller = Teller("stage", "done", "total", "unchanged", "failed")
    try:
        with Gallery(folder, create=False, timeout=_WAIT, limits=limits) as gallery:
            report = gallery.add(Path(path), listen=teller)
    except GlocalError as error:
        tell({"error": str(error)})
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    tell({"report": _plain(report)})


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


if __name__ == "__main__":
    main()
