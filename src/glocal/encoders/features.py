"""The features of one image: its vector and its local features."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class LocalFeatures:
    """Keypoints with their descriptors and scores.

    Attributes:
        keypoints: ``(m, 2)`` float32, x and y as fractions of the upright image's width and
            height, in [0, 1]. ``m`` may be 0: an image without local features is a valid image.
        descriptors: ``(m, e)`` float32, each row of unit length.
        scores: ``(m,)`` float32, at least 0.
    """

    keypoints: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.keypoints)

    def scored_above(self, score: float) -> LocalFeatures:
        """Only the local features with higher scores: those of a blank wall are low."""
        keep = self.scores > score
        return LocalFeatures(self.keypoints[keep], self.descriptors[keep], self.scores[keep])


def _nothing() -> NDArray[np.float32]:
    return np.zeros((0, 4), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """A vector for the whole image, its local features, and vectors of its regions.

    Attributes:
        vector: ``(d,)`` float32 of unit length; the dot product of two is their similarity.
        keypoints: As in `LocalFeatures`, highest score first.
        descriptors: As in `LocalFeatures`.
        scores: As in `LocalFeatures`.
        regions: ``(r, d)`` float32, each row of unit length, in the space of `vector`; ``r`` is 0
            where no regions were wanted. See `glocal.encoders.regions`.
        boxes: ``(r, 4)`` float32: x, y, width and height of each region, as fractions of the
            upright image.
    """

    vector: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    scores: NDArray[np.float32]
    regions: NDArray[np.float32] = field(default_factory=_nothing)
    boxes: NDArray[np.float32] = field(default_factory=_nothing)

    @property
    def local(self) -> LocalFeatures:
        """The local features alone."""
        return LocalFeatures(self.keypoints, self.descriptors, self.scores)
