"""Detectors of local features, the encoder's own one, and detection at several scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.features import LocalFeatures
from glocal.encoders.onnx import OnnxEncoder

QUERY_SCALES = (1.0, 0.7, 0.55, 0.4)
"""The scales at which a query's local features are detected, as fractions of the usual side.

An object that fills the query is often smaller in the image where it is found. A network sees
detail at one scale only, so the query is detected again at smaller ones. The gallery's images are
not, which would take more space and time.
"""


class Detector(Protocol):
    """Detects local features; safe to call from many threads at once."""

    @property
    def name(self) -> str:
        """The name under which its calibration is kept."""
        ...

    @property
    def area(self) -> int:
        """Pixels that an image should have at least; a smaller one is enlarged."""
        ...

    def detect(self, image: NDArray[np.uint8], *, scale: float = 1.0) -> LocalFeatures:
        """Detect the local features of an image.

        Args:
            image: ``(h, w, 3)`` uint8 RGB, upright. Whatever its size, it is first resized to the
                size that the detector wants.
            scale: Factor of that size, per side.
        """
        ...


class EncoderDetector:
    """The encoder's own local features, from the forward pass that makes the vector."""

    def __init__(self, encoder: OnnxEncoder) -> None:
        self._encoder = encoder
        self.area = encoder.card.area
        self.name = f"{encoder.card.name} v{encoder.card.version}"

    def detect(self, image: NDArray[np.uint8], *, scale: float = 1.0) -> LocalFeatures:
        """See `Detector`."""
        (features,) = self._encoder.encode([image], scale=scale)
        return features.local


def open_own(encoder: OnnxEncoder, *, threads: int) -> EncoderDetector:
    """The detector ``own``; the encoder was opened with threads of its own."""
    del threads
    return EncoderDetector(encoder)


def detect_at_scales(
    detector: Detector,
    image: NDArray[np.uint8],
    scales: Sequence[float] = QUERY_SCALES,
    *,
    passed: Mapping[float, LocalFeatures] = MappingProxyType({}),
) -> LocalFeatures:
    """Detect a query's local features at several scales and put them together.

    Args:
        detector: The detector to use.
        image: The query, ``(h, w, 3)`` uint8 RGB, upright.
        scales: The scales.
        passed: What the encoder found at some scales when it made the query's vectors; if its own
            detector is used, these are not computed again.
    """
    known = passed if isinstance(detector, EncoderDetector) else {}
    return together(
        [
            known[scale] if scale in known else detector.detect(image, scale=scale)
            for scale in scales
        ]
    )


def together(found: Sequence[LocalFeatures]) -> LocalFeatures:
    """One image's local features of several detections."""
    return LocalFeatures(
        np.concatenate([local.keypoints for local in found]),
        np.concatenate([local.descriptors for local in found]),
        np.concatenate([local.scores for local in found]),
    )
