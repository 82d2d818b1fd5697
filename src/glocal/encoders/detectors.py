"""Open a detector of local features by its name in the registry."""

from __future__ import annotations

from typing import Protocol

from glocal.encoders.local_features import Detector
from glocal.encoders.onnx import OnnxEncoder
from glocal.registry import load

OWN = "own"
"""Name of the encoder's own local features, which cost nothing more."""


class OpenDetector(Protocol):
    """What a row of the kind ``detector`` names."""

    def __call__(self, encoder: OnnxEncoder, /, *, threads: int) -> Detector:
        """Open the detector.

        Args:
            encoder: The gallery's model, for detectors that share its forward pass.
            threads: How many threads one image may use.
        """
        ...


def open_detector(name: str, encoder: OnnxEncoder, *, threads: int = 1) -> Detector:
    """Open a detector by name.

    Args:
        name: One of `glocal.registry.names("detector")`.
        encoder: The model whose own local features ``own`` gives.
        threads: How many threads one image may use.

    Raises:
        MissingExtraError: It needs a package that is not installed.
        PartError: There is no detector of that name.
    """
    opened: OpenDetector = load("detector", name)
    return opened(encoder, threads=threads)
