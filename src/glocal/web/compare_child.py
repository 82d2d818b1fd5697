"""The process of a comparison that a server started: its groups go to standard output.

A comparison has a process of its own so that no file of a folder can harm the server, that searches
keep their share of the machine, and that it can be ended at any moment: it changes nothing.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from glocal.errors import GlocalError
from glocal.gallery import DuplicateGroup, Gallery
from glocal.gallery.browsing import Browser
from glocal.images import Limits
from glocal.ranking.evidence import Verdict
from glocal.web.telling import Teller, lower_priority, tell

_WAIT = 60.0
_MOST_MEMBERS = 1_000
"""Images of a group that are told of; the best ones."""


def main() -> None:
    """Group a gallery's duplicates: ``GALLERY LEVEL MAX_BYTES MAX_PIXELS``."""
    folder, level, max_bytes, max_pixels = sys.argv[1:]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lower_priority(10)
    limits = Limits(max_bytes=int(max_bytes), max_pixels=int(max_pixels))
    try:
        with Gallery(folder, create=False, timeout=_WAIT, limits=limits) as gallery:
            groups = gallery.duplicates(level, Teller("stage", "done", "total"))
            for value in told(groups, gallery.browse()):
                tell({"group": value})
    except GlocalError as error:
        tell({"error": str(error)})
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    freed = sum(group.bytes_to_free for group in groups)
    tell({"end": {"groups": len(groups), "bytes_to_free": freed}})


def told(groups: Iterable[DuplicateGroup], browser: Browser) -> Iterator[dict[str, Any]]:
    """Groups of files as groups of images, each image by its id, the one to keep first.

    Of the files of one image nothing is told: which of them one keeps follows from their paths.
    """
    for group in groups:
        paths = [group.kept, *(other.path for other in group.others)]
        ids = browser.contents_of(paths)
        kept = ids.get(group.kept)
        if kept is None:  # forgotten since it was compared
            continue
        members: dict[UUID, dict[str, Any]] = {}
        left_out = 0
        for other in group.others:
            content = ids.get(other.path)
            # Identical to a file of its own image, which is told of itself.
            if content is None or content == kept or other.verdict is Verdict.IDENTICAL:
                continue
            if len(members) >= _MOST_MEMBERS - 1:
                left_out += content not in members
            else:
                members[content] = {
                    "id": content.hex,
                    "verdict": str(other.verdict),
                    "same_probability": round(other.same_probability, 4),
                    "copy_probability": round(other.copy_probability, 4),
                    "removable": other.removable,
                }
        found = {other.verdict for other in group.others} - {Verdict.IDENTICAL}
        kind = "same" if Verdict.SAME_OBJECT in found else "copy" if found else "identical"
        yield {
            "kind": kind,
            "kept": kept.hex,
            "others": list(members.values()),
            "left_out": left_out,
            "bytes_to_free": group.bytes_to_free,
        }


def _end_with_parent() -> None:
    """Wait for the end of the standard input, which is the server's."""
    os.read(0, 1)
    os._exit(130)


if __name__ == "__main__":
    main()
