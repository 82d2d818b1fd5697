"""The detectors of local features by name."""

from __future__ import annotations

from glocal.encoders.local_features import Detector, EncoderDetector
from glocal.encoders.onnx import OnnxEncoder
from glocal.errors import ModelError

OWN = "own"
DETECTORS = (OWN, "xfeat", "sift")
"""The encoder's own parts, which cost nothing more; XFeat, a network of its own; SIFT."""


def open_detector(name: str, encoder: OnnxEncoder, *, threads: int = 1) -> Detector:
    """A detector by name.

    Args:
        name: one of `DETECTORS`.
        encoder: whose own parts are meant by ``own``.
        threads: that one image may use.

    Raises:
        ModelError: there is none of that name.
        MissingExtraError: it needs a package that is not installed.
    """
    if name == OWN:
        return EncoderDetector(encoder)
    if name == "xfeat":
        from glocal.encoders.xfeat import XFeat  # only when it is asked for

        return XFeat(threads=threads)
    if name == "sift":
        from glocal.encoders.sift import Sift  # needs an extra

        return Sift()
    raise ModelError(f"there is no detector {name!r}; choose of {', '.join(DETECTORS)}")
