"""Small grey pictures of a gallery's contents, read from their files when they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.errors import ImageError
from glocal.gallery.catalog import Catalog
from glocal.images import Limits, load
from glocal.ranking.alignment import SIDE

KEPT = 4000
"""The last ones asked for stay in memory: 16 kB each."""


class Thumbnails:
    """Pictures of about `SIDE` squared pixels, whatever their shape.

    Args:
        catalog: the gallery's, which knows the files.
        limits: of what is read.
    """

    def __init__(self, catalog: Catalog, limits: Limits) -> None:
        self._catalog = catalog
        self._limits = limits
        self._kept: OrderedDict[UUID, NDArray[np.uint8] | None] = OrderedDict()

    def of(self, content: UUID) -> NDArray[np.float32] | None:
        """``(h, w)`` float32 grey in [0, 255]; None where no file of it can be read any more."""
        if content in self._kept:
            self._kept.move_to_end(content)
        else:
            self._kept[content] = self._read(content)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        found = self._kept[content]
        return None if found is None else found.astype(np.float32)

    def _read(self, content: UUID) -> NDArray[np.uint8] | None:
        from PIL import Image

        for _, path in self._catalog.files_of([content]).get(content, []):
            try:
                array = load(path, min_pixels=SIDE * SIDE, limits=self._limits).array
            except (ImageError, OSError):
                continue
            picture = Image.fromarray(array).convert("L")
            scale = SIDE / (picture.width * picture.height) ** 0.5
            size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
            return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
        return None
