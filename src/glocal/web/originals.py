"""Reading files of the gallery: only what was indexed, byte for byte."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from glocal.errors import ImageError
from glocal.gallery.describing import content_id
from glocal.images import Limits, read_bytes
from glocal.images.url_paths import UrlPath
from glocal.web.problems import ProblemError


def read_original(
    content: UUID, paths: Iterable[Path], roots: Iterable[Path], limits: Limits
) -> tuple[bytes, Path]:
    """Read an image of the gallery from the first of its files that still holds it.

    A file is read only if it is a regular file and, with all links resolved, lies below a folder
    that was indexed; so does a URL. Its content is used only if its hash is the one that was
    indexed. Therefore nothing but images of the gallery leaves the server, whatever a path now
    points to.

    Raises:
        ProblemError: none of the files holds the image any more.
    """
    allowed = [_real(root) for root in roots]
    for path in paths:
        real = _real(path)
        if real is None or not any(root and real.is_relative_to(root) for root in allowed):
            continue
        try:
            if not isinstance(real, UrlPath) and not stat.S_ISREG(os.stat(real).st_mode):
                continue
            data = read_bytes(real, limits)
        except (ImageError, OSError):
            continue
        if content_id(data) == content:
            return data, path
    raise ProblemError(
        410,
        "the file of the image is missing, unreachable, or has changed since it was indexed",
        kind="urn:glocal:gone",
    )


def _real(path: Path) -> Path | None:
    if isinstance(path, UrlPath):  # it leads nowhere else: redirects are not followed
        return path
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError):  # gone, or a loop of links
        return None
