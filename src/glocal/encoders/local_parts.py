"""Local parts of a picture, whoever detects them, and a query's parts at several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.onnx import OnnxEncoder

QUERY_SCALES = (1.0, 0.7, 0.55, 0.4)
"""Sides of the query's input, as parts of the usual one.

A thing that fills the query is often smaller in the picture it is looked for in. Networks see
detail at one size only, so the query is looked at again as it would be there; the gallery's
pictures are not, and take no more room or time.
"""


@dataclass(frozen=True, slots=True, eq=False)
class LocalParts:
    """Keypoints with what they look like.

    Attributes:
        keypoints: ``(m, 2)`` float32, x and y as fractions of the upright picture's width and
            height. ``m`` may be 0.
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


class Detector(Protocol):
    """Finds local parts; safe to call from many threads at once."""

    @property
    def name(self) -> str:
        """Under which its calibration is kept."""
        ...

    def detect(self, image: NDArray[np.uint8], *, scale: float = 1.0) -> LocalParts:
        """Parts of a picture, ``(h, w, 3)`` uint8 RGB upright, looked at ``scale`` times as large.

        Whatever its size, a picture is first brought to the size the detector wants.
        """
        ...


class EncoderParts:
    """The encoder's own parts, from the forward pass that makes the vector."""

    def __init__(self, encoder: OnnxEncoder) -> None:
        self._encoder = encoder
        self.name = encoder.card.name

    def detect(self, image: NDArray[np.uint8], *, scale: float = 1.0) -> LocalParts:
        """See `Detector`."""
        (features,) = self._encoder.encode([image], scale=scale)
        return LocalParts(features.keypoints, features.descriptors, features.strengths)


def parts_at_sizes(
    detector: Detector, image: NDArray[np.uint8], scales: Sequence[float] = QUERY_SCALES
) -> LocalParts:
    """A query's parts, looked at in several sizes and taken together."""
    found = [detector.detect(image, scale=scale) for scale in scales]
    return together(found)


def together(found: Sequence[LocalParts]) -> LocalParts:
    """The parts of one picture from several looks at it."""
    return replace(
        found[0],
        keypoints=np.concatenate([parts.keypoints for parts in found]),
        descriptors=np.concatenate([parts.descriptors for parts in found]),
        strengths=np.concatenate([parts.strengths for parts in found]),
    )
