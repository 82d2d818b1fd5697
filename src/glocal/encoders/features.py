"""What an encoder makes of one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """One image as glocal sees it: a vector for the whole, and its local parts.

    Attributes:
        vector: ``(d,)`` float32 of unit length; the dot product of two is their similarity.
        keypoints: ``(m, 2)`` float32, x and y as fractions of the upright picture's width and
            height, in [0, 1]. ``m`` may be 0: a picture without local parts is a valid picture.
        descriptors: ``(m, e)`` float32, each row of unit length.
        strengths: ``(m,)`` float32, at least 0, strongest first.
    """

    vector: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    strengths: NDArray[np.float32]
