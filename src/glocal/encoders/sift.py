"""SIFT keypoints (Lowe, IJCV 2004) through OpenCV, with RootSIFT's descriptors."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.features import LocalFeatures
from glocal.errors import MissingExtraError

_COUNT = 122  # of 128 numbers: 16 KB once packed
_AREA = 416**2
_CONTRAST = 0.02  # half of OpenCV's: images this small have little left


class Sift:
    """A `glocal.encoders.Detector` that needs no network and finds things at any size.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """

    name = "sift"
    area = _AREA

    def __init__(self) -> None:
        try:
            import cv2  # an extra
        except ImportError as error:
            raise MissingExtraError(
                "SIFT keypoints need OpenCV: pip install opencv-python-headless"
            ) from error
        self._cv2: Any = cv2  # its own types are incomplete

    def detect(self, image: NDArray[np.uint8], *, scale: float = 1.0) -> LocalFeatures:
        """See `glocal.encoders.Detector`; SIFT searches sizes itself, so one scale will do."""
        height, width = image.shape[:2]
        zoom = scale * sqrt(_AREA / (width * height))
        size = max(1, round(width * zoom)), max(1, round(height * zoom))
        how = self._cv2.INTER_AREA if zoom < 1 else self._cv2.INTER_LINEAR
        grey = self._cv2.cvtColor(image, self._cv2.COLOR_RGB2GRAY)
        sift = self._cv2.SIFT_create(nfeatures=_COUNT, contrastThreshold=_CONTRAST)
        found, raw = sift.detectAndCompute(self._cv2.resize(grey, size, interpolation=how), None)
        if raw is None:
            found, raw = (), np.empty((0, 128), np.float32)
        scores = np.array([point.response for point in found], np.float32)
        order = np.argsort(-scores, kind="stable")[:_COUNT]
        points = np.array([point.pt for point in found], np.float32).reshape(-1, 2)[order]
        roots = np.sqrt(raw[order] / np.maximum(raw[order].sum(axis=1, keepdims=True), 1e-6))
        fractions = np.clip((points + 0.5) / np.array(size, np.float32), 0, 1)
        return LocalFeatures(fractions.astype(np.float32), roots.astype(np.float32), scores[order])
