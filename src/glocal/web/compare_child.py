"""The process of a comparison that a server started: it writes the groups to standard output.

A comparison has a process of its own, so that no file of a folder can harm the server, so that
searches keep their share of the processor, and so that it can be ended at any moment.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from glocal.errors import GlocalError
from glocal.gallery import DuplicateGroup, Gallery
from glocal.gallery.results import plain
from glocal.images import Limits
from glocal.web.reporting import ProgressReporter, lower_priority, report

_WAIT = 60.0
_MOST_IMAGES = 1_000
"""Images of a group that are sent; the best ones."""


def main() -> None:
    """Group a gallery's duplicates: ``GALLERY LEVEL MAX_BYTES MAX_PIXELS``.

    The first line of standard input has the other arguments of `Gallery.duplicates` as JSON.
    """
    folder, level, max_bytes, max_pixels = sys.argv[1:]
    options = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    among = options["among"]
    if among is None or len(among) > 1:  # for one group a person is waiting
        lower_priority(10)
    limits = Limits(max_bytes=int(max_bytes), max_pixels=int(max_pixels))
    try:
        with Gallery(folder, create=False, timeout=_WAIT, limits=limits) as gallery:
            listen = ProgressReporter("stage", "done", "total")
            groups = gallery.duplicates(level, listen, **options)
            for value in encoded(groups):
                report({"group": value})
    except GlocalError as error:
        report({"error": str(error)})
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    freed = sum(group.bytes_to_free for group in groups)
    report({"end": {"groups": len(groups), "bytes_to_free": freed}})


def encoded(groups: Iterable[DuplicateGroup]) -> Iterator[dict[str, Any]]:
    """Groups as they are sent to the server: the fields of `DuplicateGroup`, the best images."""
    for group in groups:
        images = group.images[:_MOST_IMAGES]
        left_out = group.left_out + len(group.images) - len(images)
        yield plain(replace(group, images=images, left_out=left_out))


def _end_with_parent() -> None:
    """End when the standard input ends, which the server holds open."""
    os.read(0, 1)
    os._exit(130)


if __name__ == "__main__":
    main()
