"""What an encoder makes of one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class LocalParts:
    """Keypoints with what they look like.

    Attributes:
        keypoints: ``(m, 2)`` float32, x and y as fractions of the upright picture's width and
            height, in [0, 1]. ``m`` may be 0: a picture without local parts is a valid picture.
        descriptors: ``(m, e)`` float32, each row of unit length.
        strengths: ``(m,)`` float32, at least 0.
    """

    keypoints: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    strengths: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.keypoints)

    def stronger_than(self, strength: float) -> LocalParts:
        """Only parts of more than this strength: a blank wall gives weak ones."""
        keep = self.strengths > strength
        return LocalParts(self.keypoints[keep], self.descriptors[keep], self.strengths[keep])


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """One image as glocal sees it: a vector for the whole, and its local parts.

    Attributes:
        vector: ``(d,)`` float32 of unit length; the dot product of two is their similarity.
            keypoints: as in `LocalParts`, strongest first.
        descriptors: as in `LocalParts`.
        strengths: as in `LocalParts`.
    """

    vector: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    strengths: NDArray[np.float32]

    @property
    def parts(self) -> LocalParts:
        """The local parts alone."""
        return LocalParts(self.keypoints, self.descriptors, self.strengths)
