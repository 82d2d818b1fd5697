"""XFeat, a small network that detects and describes keypoints (Potje et al., CVPR 2024)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.card import METADATA_KEY, Card
from glocal.encoders.features import LocalFeatures
from glocal.encoders.fit import fit
from glocal.encoders.onnx import OnnxEncoder, open_session
from glocal.errors import ModelError

_OUTPUTS = tuple(["keypoints", "descriptors", scores] for scores in ("scores", "strengths"))
XFEAT = Path(__file__).parent / "models" / "detectors" / "xfeat.onnx"


class XFeat:
    """A `glocal.encoders.Detector`: 232 keypoints of 64 numbers, 16 KB once packed.

    Args:
        path: The model, as ``scripts/make_xfeat.py`` makes it.
        threads: How many threads one image may use.

    Raises:
        ModelError: The file is missing, damaged, or another model.
    """

    def __init__(self, path: Path = XFEAT, *, threads: int = 1) -> None:
        self._session = open_session(path, threads)
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        names = [output.name for output in self._session.get_outputs()]
        if text is None or names not in _OUTPUTS:
            raise ModelError(
                f"{path} is not a detector of local features: its outputs are {names}; "
                "install glocal again"
            )
        self.card = Card.read(text, str(path))
        self.name = self.card.name
        self.area = self.card.area

    def detect(self, image: NDArray[np.uint8], *, scale: float = 1.0) -> LocalFeatures:
        """See `glocal.encoders.Detector`."""
        area = max(round(self.card.area * scale**2), self.card.multiple**2)
        outputs = self._session.run(None, {"image": fit(image, replace(self.card, area=area))})
        return LocalFeatures(*outputs)


def open_xfeat(encoder: OnnxEncoder, *, threads: int) -> XFeat:
    """The detector ``xfeat``, which shares nothing with the encoder."""
    del encoder
    return XFeat(threads=threads)
