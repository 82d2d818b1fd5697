"""The gallery's own files, and nothing else: what is read is what was indexed, byte for byte."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from glocal.errors import ImageError
from glocal.gallery.describing import content_id
from glocal.images import Limits, read_bytes
from glocal.web.problems import ProblemError


def read_original(
    content: UUID, paths: Iterable[Path], roots: Iterable[Path], limits: Limits
) -> tuple[bytes, Path]:
    """Read an image of the gallery from the first of its files that still holds it.

    A file is only read where it, all links followed, lies below a folder that was indexed, and is a
    regular file; and what was read is only used when its hash is the one that was indexed. So
    whatever a path in the catalogue has been made to point to meanwhile, nothing but images of
    the gallery leaves the server.

    Raises:
        ProblemError: none of the files holds the image any more.
    """
    allowed = [_real(root) for root in roots]
    for path in paths:
        real = _real(path)
        if real is None or not any(root and real.is_relative_to(root) for root in allowed):
            continue
        try:
            if not stat.S_ISREG(os.stat(real).st_mode):
                continue
            data = read_bytes(real, limits)
        except (ImageError, OSError):
            continue
        if content_id(data) == content:
            return data, path
    raise ProblemError(
        410,
        "the image's file is gone, has changed since it was indexed, or cannot be reached",
        kind="urn:glocal:gone",
    )


def _real(path: Path) -> Path | None:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError):  # gone, or a loop of links
        return None
