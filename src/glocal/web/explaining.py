"""What an explainer takes and returns; `create_app` is given the explainers."""

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
        hit: likewise, the whole image.
    """

    gallery: Gallery
    query: NDArray[np.uint8]
    hit: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Explanation:
    """An explanation: an image, or JSON.

    Attributes:
        body: its bytes.
        media_type: such as ``image/png`` or ``application/json``.
    """

    body: bytes
    media_type: str


Explainer: TypeAlias = Callable[[Pair], Explanation]
"""Explains one pair. It is called in a thread; glocal's errors that it raises reach the client."""
