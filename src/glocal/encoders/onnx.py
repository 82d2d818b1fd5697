"""Encoders that run on ONNX Runtime: one file holds the network and its card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from queue import LifoQueue
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.card import METADATA_KEY, Card
from glocal.encoders.features import Features
from glocal.encoders.fit import fit
from glocal.encoders.outputs import without_output
from glocal.errors import ImageError, ModelError

_OUTPUTS = ["vector", "keypoints", "descriptors", "strengths"]
_CONTRIBUTIONS = "contributions"  # an output that a model may have besides


class Encoder(Protocol):
    """Turns images into features; safe to call from many threads at once."""

    @property
    def card(self) -> Card:
        """What the model says of itself."""
        ...

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        ...

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> list[Features]:
        """Encode images, each ``(h, w, 3)`` uint8 RGB upright of any size."""
        ...


class OnnxEncoder:
    """A model from one ``.onnx`` file.

    Args:
        path: the file.
        threads: that one image may use; 1 when many images are encoded side by side.
        sessions: how many images may be encoded side by side; more callers wait their turn. Two
            threads that share one session take a fifth longer than with one each.

    Raises:
        ModelError: the file is missing, damaged, or has not the inputs and outputs glocal expects.
    """

    def __init__(self, path: Path, *, threads: int = 1, sessions: int = 1) -> None:
        session = open_session(path, threads)
        self._threads = threads
        self._explaining: Any = None  # made when it is needed
        self._idle: LifoQueue[Any] = LifoQueue()  # the last used is the next to be used
        for _ in range(sessions - 1):
            self._idle.put(None)  # made when it is needed
        self._idle.put(session)
        model = session.get_modelmeta()
        text = model.custom_metadata_map.get(METADATA_KEY)
        if text is None:
            raise ModelError(f"{path} is an ONNX model but none of glocal's: it has no card")
        self._card = Card.read(text, str(path))
        names = [output.name for output in session.get_outputs()]
        inputs = [(i.name, i.type) for i in session.get_inputs()]
        if names != _OUTPUTS or inputs != [("image", "tensor(uint8)")]:
            raise ModelError(
                f"{path} takes {inputs} and gives {names}; "
                f"glocal needs image, tensor(uint8), and {_OUTPUTS}, "
                f"and can use {_CONTRIBUTIONS}"
            )
        self.path = path

    @property
    def card(self) -> Card:
        """What the model says of itself."""
        return self._card

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._card.dim

    def encode(self, images: Sequence[NDArray[np.uint8]], *, scale: float = 1.0) -> list[Features]:
        """Encode images one after the other, each at its own shape.

        Args:
            images: each ``(h, w, 3)`` uint8 RGB, upright, at least 1x1.
            scale: of the network's input, per side; other than 1 only for local features.

        Raises:
            ImageError: an array has another shape or type.
        """
        area = max(round(self._card.area * scale**2), self._card.multiple**2)
        size = replace(self._card, area=area)
        return [self._encode(image, size) for image in images]

    def contributions(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Split an image's vector into what each part of the image gave to it.

        The model is loaded a second time for this: explaining is rare, and encoding should not
        have to compute what only explaining needs.

        Args:
            image: ``(h, w, 3)`` uint8 RGB, upright, at least 1x1.

        Returns:
            ``(rows, columns, d)`` float32: a grid over the whole image, whose sum over rows and
            columns is the vector that `encode` gives.

        Raises:
            ImageError: the array has another shape or type.
            ModelError: this model cannot tell.
        """
        fitted = self._fitted(image, self._card)
        if self._explaining is None:  # two threads at once may load it twice; either will do
            self._explaining = open_session(self.path, self._threads, explaining=True)
        session = self._explaining
        if _CONTRIBUTIONS not in [output.name for output in session.get_outputs()]:
            raise ModelError(
                f"model {self._card.name} v{self._card.version} ({self.path}) cannot say what the "
                f"parts of an image gave to its vector: it has no output {_CONTRIBUTIONS!r}; "
                "explain with a model that has, such as the bundled one"
            )
        (contributions,) = session.run([_CONTRIBUTIONS], {"image": fitted})
        grid: NDArray[np.float32] = contributions
        return grid

    def _encode(self, image: NDArray[np.uint8], size: Card) -> Features:
        fitted = self._fitted(image, size)
        session = self._idle.get()
        try:
            session = session or open_session(self.path, self._threads)
            return Features(*session.run(_OUTPUTS, {"image": fitted}))
        finally:
            self._idle.put(session)

    def _fitted(self, image: NDArray[np.uint8], size: Card) -> NDArray[np.uint8]:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise ImageError(
                f"an encoder takes (h, w, 3) uint8, not {image.shape} {image.dtype}; "
                "glocal.images.load makes it of anything"
            )
        return fit(image, size)


def open_session(path: Path, threads: int, *, explaining: bool = False) -> Any:
    """ONNX Runtime's session for a model file.

    Args:
        path: of the model.
        threads: that one run may use.
        explaining: whether to load what only explanations need, too.

    Raises:
        ModelError: it is missing or cannot be run.
    """
    import onnxruntime  # 0.15 s that only encoding needs

    if not path.is_file():
        raise ModelError(f"there is no model file {path}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the cores from whatever follows the encoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors come as exceptions
    # Inputs differ in shape: plans kept for each would only grow.
    options.enable_mem_pattern = False
    try:
        model = path.read_bytes()
        if not explaining:
            model = without_output(model, _CONTRIBUTIONS)
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base but Exception
        reason = str(error).strip().splitlines()[0][:200]
        raise ModelError(f"{path} is no model that ONNX Runtime can run: {reason}") from error
