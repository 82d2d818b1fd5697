"""Small grey images, by whose pixels a copy is told from another photo of the same thing.

They are kept behind an image's local features; those of galleries that were made before that are
read from their files when they are asked for.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.errors import ImageError
from glocal.gallery.catalog import Catalog
from glocal.gallery.packed_features import small_image
from glocal.images import Limits, load
from glocal.ranking.alignment import SIDE

KEPT = 4000
"""The last ones asked for stay in memory: 16 kB each."""

_QUALITY = 88


def shrink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(h, w, 3)`` uint8 RGB to grey of about `SIDE` squared pixels, whatever its shape."""
    from PIL import Image

    whole = Image.fromarray(image)
    scale = SIDE / (whole.width * whole.height) ** 0.5
    size = (max(1, round(whole.width * scale)), max(1, round(whole.height * scale)))
    return np.asarray(whole.convert("L").resize(size, Image.Resampling.LANCZOS))


def to_jpeg(small: NDArray[np.uint8]) -> bytes:
    """A small image as the gallery keeps it: 3 to 7 kB."""
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(small).save(written, "JPEG", quality=_QUALITY)
    return written.getvalue()


def from_jpeg(data: bytes) -> NDArray[np.float32] | None:
    """``(h, w)`` float32 grey in [0, 255]; None of no bytes, or of bytes that are damaged."""
    from PIL import Image, JpegImagePlugin

    if not data:
        return None
    try:
        with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as opened:
            if opened.mode != "L" or opened.width * opened.height > 4 * SIDE * SIDE:
                return None
            return np.asarray(opened, np.float32)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


class Thumbnails:
    """The small images of a gallery.

    Args:
        catalog: the gallery's, which has them or knows the files.
        limits: of what is read.
    """

    def __init__(self, catalog: Catalog, limits: Limits) -> None:
        self._catalog = catalog
        self._limits = limits
        self._kept: OrderedDict[UUID, NDArray[np.uint8] | None] = OrderedDict()

    def of(self, content: UUID) -> NDArray[np.float32] | None:
        """``(h, w)`` float32 grey in [0, 255]; None if none is kept and no file can be read."""
        if content in self._kept:
            self._kept.move_to_end(content)
        else:
            self._kept[content] = self._find(content)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        found = self._kept[content]
        return None if found is None else found.astype(np.float32)

    def _find(self, content: UUID) -> NDArray[np.uint8] | None:
        packed = self._catalog.local_features([content]).get(content)
        kept = None if packed is None else from_jpeg(small_image(packed))
        if kept is not None:
            return kept.astype(np.uint8)
        for _, path in self._catalog.files_of([content]).get(content, []):
            try:
                return shrink(load(path, min_pixels=SIDE * SIDE, limits=self._limits).array)
            except (ImageError, OSError):
                continue
        return None
