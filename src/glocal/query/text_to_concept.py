"""Texts search images that only an image model has encoded, by a linear map to another model."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.upgrade.bridge import Bridge
from glocal.upgrade.bridges.ridge import Ridge
from glocal.upgrade.vectors import checked_rows, unit_rows

Floats = NDArray[np.float32]

VIEWS = 3
"""How many views of an image `anchor_views` gives at most."""

_CUT = 8  # part of each side that the middle leaves out


def anchor_views(image: NDArray[np.uint8], count: int = VIEWS) -> list[NDArray[np.uint8]]:
    """An image as it is, mirrored, and its middle: pairs to fit the map to, where images are few.

    Both models have to see each view; no label is needed, and none is implied.

    Args:
        image: ``(h, w, 3)``, at least 8 x 8.
        count: how many of these, from 1 on.
    """
    height, width = image.shape[:2]
    top, left = height // _CUT, width // _CUT
    views = [image, image[:, ::-1], image[top : height - top, left : width - left]]
    return [np.ascontiguousarray(view) for view in views[:count]]


class TextToConcept:
    """A linear map from the vectors of an image model to those of an image-text model.

    With ``z = x A + b``, fitted to the vectors x and y that both models give to the same images by
    ``min ‖X A + b - Y‖² + λ ‖A‖²``, a text t finds images by the cosine of t and z. Nothing is
    encoded again: ``t · z = x · (A tᵀ) + b · t``, so that ``A tᵀ``, a vector of the image model's
    own space, finds candidates in whatever index holds x; the cosine then orders them.

    Source: Moayeri, Rezaei, Sanjabi and Feizi, Text-To-Concept (and Back) via Cross-Model
    Alignment, 2023.

    Deviations: the paper learns the map by gradient descent on ImageNet and standardises variances;
    here it is solved in closed form, with the penalty λ that finds left-out images best. Where
    images are few, both models see each in several views (`anchor_views`).

    Attributes:
        bridge: the map; its new space is that of the images' vectors, its old one that of texts.
    """

    def __init__(self, bridge: Bridge | None = None) -> None:
        self.bridge = bridge or Ridge()

    def fit(self, vectors: ArrayLike, concepts: ArrayLike) -> Self:
        """Learn the map, in seconds for a few thousand images.

        Args:
            vectors: ``(n, d)`` of images by the image model.
            concepts: ``(n, k)`` of the same images by the image-text model.

        Raises:
            BridgeError: there are too few, or they do not fit together.
        """
        self.bridge.fit(concepts, vectors)
        return self

    def concepts(self, vectors: ArrayLike) -> Floats:
        """Vectors ``(m, d)`` as the image-text model would have them, ``(m, k)`` of unit length.

        Raises:
            BridgeError: they have another length, or the map is not fitted.
        """
        return self.bridge.queries(vectors)

    def directions(self, texts: ArrayLike) -> Floats:
        """Vectors ``(m, k)`` of texts as queries ``(m, d)`` of unit length among images' vectors.

        Their inner products with a gallery's vectors order images as ``t · z`` does.

        Raises:
            BridgeError: they have another length, or the map is not fitted.
        """
        rows = checked_rows(texts, "vectors of texts", self.bridge.old_dim or None)
        arrays = self.bridge.arrays()
        return unit_rows(unit_rows(rows) @ arrays["map"].T)
