"""The model that a new one is trained to stay comparable with."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.hashes import file_sha256
from glocal.encoders.onnx import OnnxEncoder
from glocal.encoders.speaks import speaks
from glocal.errors import LearnError


class Old(Protocol):
    """What a training needs to know of the old model.

    Attributes:
        dim: length of its vectors.
        classes: names of its labels in the order of their numbers; empty if it has none to keep.
        digest: 32 bytes that tell it from every other model.
    """

    dim: int
    classes: tuple[str, ...]
    digest: bytes

    def vectors(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode images ``(b, h, w, 3)`` RGB, as they are, to unit rows ``(b, dim)``."""


class OldModel:
    """The old model, from its file.

    Args:
        path: model file.

    Attributes:
        dim: length of its vectors.
        classes: names of the labels whose numbers a new model has to keep.
        digest: SHA-256 of the file.
        spaces: the space of its vectors, and those of older models that it speaks.

    Raises:
        LearnError: the file is missing.
        ModelError: it is not a model of glocal.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise LearnError(f"--compatible-with {path}: there is no such file; check the path")
        self._encoder = OnnxEncoder(path)
        card = self._encoder.card
        self.dim = card.dim
        self.classes = tuple(map(str, card.everything.get("classes", ())))
        self.digest = bytes.fromhex(file_sha256(path))
        self.spaces = tuple(dict.fromkeys((self._encoder.space, *speaks(card))))

    def vectors(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode images ``(b, h, w, 3)`` RGB, scaled to the input size of the old model."""
        return np.stack([features.vector for features in self._encoder.encode(list(images))])
