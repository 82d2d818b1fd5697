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

_OUTPUTS = ["vector", "keypoints", "descriptors"]
_SCORES = (["scores"], ["strengths"])  # older models have the second name

_CONTRIBUTIONS = "contributions"  # an output that a model may have besides


class Encoder(Protocol):
    """Turns images into features; safe to call from many threads at once."""

    @property
    def card(self) -> Card:
        """The model's own description."""
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
        path: The file.
        threads: How many threads one image may use; 1 when many images are encoded side by side.
        sessions: How many images may be encoded side by side; further callers wait. Two threads
            that share one session take a fifth longer than with one each.

    Raises:
        ModelError: The file is missing or damaged, or does not have the inputs and outputs that
            glocal expects.
    """

    def __init__(self, path: Path, *, threads: int = 1, sessions: int = 1) -> None:
        session = open_session(path, threads)
        self._threads = threads
        self._explaining: Any = None  # opened when it is needed
        self._idle: LifoQueue[Any] = LifoQueue()  # the session used last is used next
        for _ in range(sessions - 1):
            self._idle.put(None)  # opened when it is needed
        self._idle.put(session)
        model = session.get_modelmeta()
        text = model.custom_metadata_map.get(METADATA_KEY)
        if text is None:
            raise ModelError(
                f"{path} is an ONNX model without a card of glocal: use a model that "
                "`glocal train` wrote"
            )
        self._card = Card.read(text, str(path))
        names = [output.name for output in session.get_outputs()]
        inputs = [(i.name, i.type) for i in session.get_inputs()]
        if (
            names[:3] != _OUTPUTS
            or names[3:] not in _SCORES
            or inputs != [("image", "tensor(uint8)")]
        ):
            raise ModelError(
                f"{path} has the inputs {inputs} and the outputs {names}; use a model with the "
                f"input image, tensor(uint8), and the outputs {_OUTPUTS + _SCORES[0]}"
            )
        self._outputs = names
        self.path = path

    @property
    def card(self) -> Card:
        """The model's own description."""
        return self._card

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._card.dim

    def encode(self, images: Sequence[NDArray[np.uint8]], *, scale: float = 1.0) -> list[Features]:
        """Encode images one after the other, each at its own shape.

        Args:
            images: Each ``(h, w, 3)`` uint8 RGB, upright, at least 1x1.
            scale: Factor of the network's input size, per side; other than 1 only for local
                features.

        Raises:
            ImageError: An array has another shape or type.
        """
        area = max(round(self._card.area * scale**2), self._card.multiple**2)
        size = replace(self._card, area=area)
        return [self._encode(image, size) for image in images]

    def contributions(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Split an image's vector into what each region of the image adds to it.

        The model is loaded a second time for this: explanations are rare, and encoding should not
        have to compute what only they need.

        Args:
            image: ``(h, w, 3)`` uint8 RGB, upright, at least 1x1.

        Returns:
            ``(rows, columns, d)`` float32: a grid over the whole image, whose sum over rows and
            columns is the vector that `encode` gives.

        Raises:
            ImageError: The array has another shape or type.
            ModelError: This model cannot tell.
        """
        fitted = self._fitted(image, self._card)
        if self._explaining is None:  # two threads at once may load it twice; either will do
            self._explaining = open_session(self.path, self._threads, explaining=True)
        session = self._explaining
        if _CONTRIBUTIONS not in [output.name for output in session.get_outputs()]:
            raise ModelError(
                f"model {self._card.name} v{self._card.version} ({self.path}) cannot say what each "
                f"region of an image adds to its vector: it has no output {_CONTRIBUTIONS!r}; "
                "explain with a model that has one, such as the bundled model"
            )
        (contributions,) = session.run([_CONTRIBUTIONS], {"image": fitted})
        grid: NDArray[np.float32] = contributions
        return grid

    def _encode(self, image: NDArray[np.uint8], size: Card) -> Features:
        fitted = self._fitted(image, size)
        session = self._idle.get()
        try:
            session = session or open_session(self.path, self._threads)
            return Features(*session.run(self._outputs, {"image": fitted}))
        finally:
            self._idle.put(session)

    def _fitted(self, image: NDArray[np.uint8], size: Card) -> NDArray[np.uint8]:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise ImageError(
                f"an encoder takes (h, w, 3) uint8, not {image.shape} {image.dtype}; "
                "load the image with glocal.images.load"
            )
        return fit(image, size)


def open_session(path: Path, threads: int, *, explaining: bool = False) -> Any:
    """ONNX Runtime's session for a model file.

    Args:
        path: The model's file.
        threads: How many threads one run may use.
        explaining: Whether to load what only explanations need, too.

    Raises:
        ModelError: The file is missing or cannot be run.
    """
    import onnxruntime  # takes 0.15 s, which only encoding needs

    if not path.is_file():
        raise ModelError(f"there is no model file {path}: name one that exists")
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
        raise ModelError(f"{path} cannot be run by ONNX Runtime: {reason}") from error
