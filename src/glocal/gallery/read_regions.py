"""Regions of images that were read from their files, kept for the next search that asks for them.

Reading one costs as much as encoding a query, and searches ask for the same ones again: those of
the next page, of another query for the same thing, and of images that are a little like many.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import LocalFeatures

MOST_BYTES = 32 * 2**20
"""Memory for regions: some 600 of them."""

Key: TypeAlias = tuple[str, UUID, tuple[float, float, float, float]]
"""The detector's name, the image, and x, y, width and height in fractions of it."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadRegion:
    """What verification needs of a region.

    Attributes:
        vector: ``(d,)`` float32 of unit length.
        local: its local features, those with high scores.
        small: ``(h, w)`` uint8 grey; see `glocal.gallery.small_images`.
        size: width and height in pixels.
    """

    vector: NDArray[np.float32]
    local: LocalFeatures
    small: NDArray[np.uint8]
    size: tuple[int, int]

    @property
    def bytes(self) -> int:
        """Memory that its arrays take."""
        local = self.local
        arrays = self.vector, self.small, local.keypoints, local.descriptors, local.scores
        return sum(array.nbytes for array in arrays)


class ReadRegions:
    """The regions that were read last; any thread may ask.

    Args:
        most_bytes: memory that they may take together.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._held = 0
        self._lock = threading.Lock()
        self._regions: OrderedDict[Key, ReadRegion] = OrderedDict()

    def get(self, key: Key, read: Callable[[], ReadRegion | None]) -> ReadRegion | None:
        """A region that is known, or that is read now; what cannot be read is not remembered."""
        with self._lock:
            if key in self._regions:
                self._regions.move_to_end(key)
                return self._regions[key]
        region = read()  # without the lock: two threads rather read the same one
        if region is not None:
            with self._lock:
                old = self._regions.pop(key, None)
                self._regions[key] = region
                self._held += region.bytes - (0 if old is None else old.bytes)
                while self._held > self._most:
                    self._held -= self._regions.popitem(last=False)[1].bytes
        return region
