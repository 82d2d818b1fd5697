"""The process of an index run that a server started: it writes its progress to standard output.

A run has a process of its own, so that no image of a folder can harm the server, so that searches
keep their share of the processor, and so that SIGINT (Ctrl-C), which loses nothing, can stop it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from glocal.errors import GlocalError
from glocal.gallery import Gallery
from glocal.gallery.results import IndexReport, plain
from glocal.images import Limits
from glocal.images.quiet import own_this_process
from glocal.web.children import end_when_interrupted
from glocal.web.reporting import ProgressReporter, lower_priority, report

_WAIT = 600.0
_MOST_FAILED = 1_000


def main() -> None:
    """Index one path: ``GALLERY PATH MAX_BYTES MAX_PIXELS``."""
    folder, path, max_bytes, max_pixels = sys.argv[1:]
    lower_priority(10)
    own_this_process()
    end_when_interrupted()
    limits = Limits(max_bytes=int(max_bytes), max_pixels=int(max_pixels))
    reporter = ProgressReporter("stage", "done", "total", "unchanged", "failed")
    try:
        with Gallery(folder, create=False, timeout=_WAIT, limits=limits) as gallery:
            done = gallery.add(Path(path), listen=reporter)
    except GlocalError as error:
        report({"error": str(error)})
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    report({"report": _encoded(done)})


def _encoded(report: IndexReport) -> dict[str, Any]:
    """The fields of a `glocal.web.results.RunReport`."""
    value: dict[str, Any] = plain(report)
    value["failed"] = value["failed"][:_MOST_FAILED]
    return value | {"left_out": len(report.failed) - len(value["failed"])}


if __name__ == "__main__":
    main()
