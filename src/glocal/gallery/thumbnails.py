"""The small grey images of a gallery (see `glocal.gallery.small_images`), from wherever they are.

They are kept behind an image's local features; those of galleries that were made before that are
read from their files when they are asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.errors import ImageError
from glocal.gallery.catalog import Catalog
from glocal.gallery.packed_features import small_image
from glocal.gallery.small_images import from_jpeg, shrink
from glocal.images import Limits, load
from glocal.ranking.alignment import SIDE

KEPT = 4000
"""The last ones asked for stay in memory: 16 kB each."""


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
