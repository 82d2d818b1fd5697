"""What a way of explaining a match takes and gives; `create_app` is told which ways there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from glocal.gallery import Gallery


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A query and one of its hits.

    Attributes:
        gallery: whose model compared them.
        query: ``(h, w, 3)`` uint8 RGB upright, about a megapixel; only the region if there is one.
        hit: likewise, whole.
    """

    gallery: Gallery
    query: NDArray[np.uint8]
    hit: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer: an image, or JSON.

    Attributes:
        body: its bytes.
        media_type: such as ``image/png`` or ``application/json``.
    """

    body: bytes
    media_type: str


Explainer: TypeAlias = Callable[[Pair], Explanation]
"""Explains one pair; called in a thread. What it raises of glocal's errors reaches the client."""
