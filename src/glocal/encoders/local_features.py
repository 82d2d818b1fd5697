"""Local features of an image, whoever detects them, and a query's parts at several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.features import LocalFeatures
from glocal.encoders.onnx import OnnxEncoder

QUERY_SCALES = (1.0, 0.7, 0.55, 0.4)
"""Sides of the query's input, as parts of the usual one.

A thing that fills the query is often smaller in the image it is looked for in. Networks see
detail at one size only, so the query is looked at again as it would be there; the gallery's
images are not, and take no more room or time.
"""


class Detector(Protocol):
    """Finds local features; safe to call from many threads at once."""

    @property
    def name(self) -> str:
        """Under which its calibration is kept."""
        ...

    @property
    def area(self) -> int:
        """Pixels an image should have at least, or it is enlarged."""
        ...

    def detect(self, image: NDArray[np.uint8], *, scale: float = 1.0) -> LocalFeatures:
        """Parts of an image, ``(h, w, 3)`` uint8 RGB upright, looked at ``scale`` times as large.

        Whatever its size, an image is first brought to the size the detector wants.
        """
        ...


class EncoderDetector:
    """The encoder's own parts, from the forward pass that makes the vector."""

    def __init__(self, encoder: OnnxEncoder) -> None:
        self._encoder = encoder
        self.area = encoder.card.area
        self.name = f"{encoder.card.name} v{encoder.card.version}"

    def detect(self, image: NDArray[np.uint8], *, scale: float = 1.0) -> LocalFeatures:
        """See `Detector`."""
        (features,) = self._encoder.encode([image], scale=scale)
        return features.local


def detect_at_scales(
    detector: Detector,
    image: NDArray[np.uint8],
    scales: Sequence[float] = QUERY_SCALES,
    *,
    passed: LocalFeatures | None = None,
) -> LocalFeatures:
    """A query's parts, looked at in several sizes and taken together.

    Args:
        detector: that looks.
        image: the query, ``(h, w, 3)`` uint8 RGB upright.
        scales: the sizes.
        passed: what an encoder found at scale 1 when it made the query's vector; its own
            detector need not look again.
    """
    known = passed if isinstance(detector, EncoderDetector) else None
    return together(
        [
            known if known is not None and scale == 1 else detector.detect(image, scale=scale)
            for scale in scales
        ]
    )


def together(found: Sequence[LocalFeatures]) -> LocalFeatures:
    """The parts of one image from several looks at it."""
    return LocalFeatures(
        np.concatenate([parts.keypoints for parts in found]),
        np.concatenate([parts.descriptors for parts in found]),
        np.concatenate([parts.scores for parts in found]),
    )
