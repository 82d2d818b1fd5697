"""SIFT keypoints (Lowe, IJCV 2004) by OpenCV, with RootSIFT descriptors (Arandjelovic, 2012)."""

from __future__ import annotations

from math import sqrt
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glocal.encoders.features import LocalFeatures
from glocal.encoders.onnx import OnnxEncoder

_cv2: Any = cv2  # its own types are incomplete
_COUNT = 122  # of 128 numbers: 16 KB once packed
_AREA = 416**2
_CONTRAST = 0.02  # half of OpenCV's: images this small have little contrast left


class Sift:
    """A `glocal.encoders.Detector` that needs no network and finds objects at any scale."""

    name = "sift"
    area = _AREA

    def detect(self, image: NDArray[np.uint8], *, scale: float = 1.0) -> LocalFeatures:
        """See `glocal.encoders.Detector`; SIFT searches all scales itself, so one is enough."""
        height, width = image.shape[:2]
        zoom = scale * sqrt(_AREA / (width * height))
        size = max(1, round(width * zoom)), max(1, round(height * zoom))
        how = _cv2.INTER_AREA if zoom < 1 else _cv2.INTER_LINEAR
        grey = _cv2.cvtColor(image, _cv2.COLOR_RGB2GRAY)
        sift = _cv2.SIFT_create(nfeatures=_COUNT, contrastThreshold=_CONTRAST)
        found, raw = sift.detectAndCompute(_cv2.resize(grey, size, interpolation=how), None)
        if raw is None:
            found, raw = (), np.empty((0, 128), np.float32)
        scores = np.array([point.response for point in found], np.float32)
        order = np.argsort(-scores, kind="stable")[:_COUNT]
        points = np.array([point.pt for point in found], np.float32).reshape(-1, 2)[order]
        roots = np.sqrt(raw[order] / np.maximum(raw[order].sum(axis=1, keepdims=True), 1e-6))
        fractions = np.clip((points + 0.5) / np.array(size, np.float32), 0, 1)
        return LocalFeatures(fractions.astype(np.float32), roots.astype(np.float32), scores[order])


def open_sift(encoder: OnnxEncoder, *, threads: int) -> Sift:
    """The detector ``sift``, which needs no encoder and runs in OpenCV's own threads."""
    del encoder, threads
    return Sift()
