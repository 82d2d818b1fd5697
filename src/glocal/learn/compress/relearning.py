"""What a narrower model lost, taught back by the model itself; a teaching that can be continued."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from glocal.errors import LearnError
from glocal.learn import checkpoint
from glocal.learn.compress.narrowing import Narrowed, prepared, with_weights
from glocal.learn.file_layers import FileLayers
from glocal.learn.file_vector import FileVector
from glocal.learn.quantization import Images
from glocal.learn.teaching import Teaching, two_views

LR = 3e-3
"""Of the size of each channel's weights."""

BATCH = 18  # torch takes slower convolutions for 16 images and fewer
SIDES = (160, 224)
_WARM = 20
_SAVE_SECONDS = 60


class Relearning:
    """Teaches a narrower model by the model that it was made of.

    What is compared are vectors, each sum of the residual stream and the maps that local features
    and regions are read of, on two views of each image; all layers learn together, and what is
    between the last map and the vector too (Hinton, Vinyals and Dean, Distilling the Knowledge in
    a Neural Network, 2015; Romero et al., FitNets, 2015, for what is inside). Steps are relative
    to the size of each channel's weights (as in You, Gitman and Ginsburg, Large Batch Training of
    Convolutional Networks, 2017, layer by layer).

    Args:
        found: the narrower model, fitted.
        images: to teach with, each ``(1, h, w, 3)`` uint8.
        seed: of what is shown.
    """

    def __init__(self, found: Narrowed, images: Images, *, seed: int = 0) -> None:
        self._found, self._images, self._seed = found, images, seed
        _, nodes = prepared(found.model)
        self._layers = FileLayers(found.model, nodes)
        self._end: FileVector | None = None
        with suppress(NotImplementedError):  # then feature maps alone are compared
            self._end = FileVector(found.model, self._layers.watched)
        self._teaching = Teaching(
            self._layers, found.whole, lr=LR, warm=_WARM, relative=True, end=self._end
        )

    @property
    def done(self) -> int:
        """Number of steps so far."""
        return self._teaching.done

    def run(
        self,
        steps: int,
        *,
        save: Callable[[], None] = lambda: None,
        stop: Callable[[], bool] = lambda: False,
        listen: Callable[[int, float], None] = lambda step, loss: None,
    ) -> bool:
        """Teach until so many steps are done.

        Args:
            steps: in all, those done before included.
            save: called every minute, and before it returns.
            stop: called after every step; when it returns True, the teaching ends.
            listen: is told the number of each step and its loss.

        Returns:
            Whether all steps are done.

        Raises:
            LearnError: the loss is no number.
        """
        saved = time.monotonic()
        while self.done < steps and not stop():
            rng = np.random.default_rng([self._seed, 1, self.done])  # the same when continued
            batch = two_views(self._images, batch=BATCH, side=int(rng.choice(SIDES)), rng=rng)
            loss = self._teaching.step(batch, steps)
            listen(self.done, loss)
            if time.monotonic() - saved > _SAVE_SECONDS:
                save()
                saved = time.monotonic()
        save()
        return self.done >= steps

    def model(self) -> Any:
        """The narrower model as it is now, a ``ModelProto`` with weights in single precision."""
        taught = self._layers.weights() | (self._end.weights() if self._end is not None else {})
        return with_weights(self._found.model, taught)

    def save(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Write a checkpoint.

        Args:
            path: file to write.
            settings: what the teaching has to be continued with.

        Raises:
            DiskFullError: the file cannot be written.
        """
        narrow = np.frombuffer(self._found.model.SerializeToString(), np.uint8)
        state = self._teaching.state() | {
            "settings": dict(settings),
            "narrow": torch.from_numpy(narrow.copy()),
            "flops": self._found.flops,
        }
        checkpoint.save(path, state)

    def restore(self, state: Mapping[str, Any], path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            LearnError: it is not of this teaching.
        """
        try:
            self._teaching.restore(state)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise LearnError(_damaged(path)) from error


def earlier(path: Path, whole: Any, settings: Mapping[str, Any]) -> tuple[Narrowed, Any] | None:
    """What a checkpoint holds: the narrower model as it was before the teaching, and the state.

    Args:
        path: its file.
        whole: the model as it was; see `prepared`.
        settings: what they have to be.

    Returns:
        None if there is no checkpoint.

    Raises:
        LearnError: it is damaged, or of another model, other images or another goal.
    """
    if not path.exists():
        return None
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx import ModelProto

    state = checkpoint.load(path)
    theirs = state["settings"]
    other = [name for name, value in settings.items() if theirs.get(name) != value]
    if other:
        raise LearnError(
            f"{path} is of a teaching that was stopped, with another {' and '.join(other)}; "
            "continue it with what it was begun with, or remove it to begin anew"
        )
    try:
        narrow = ModelProto.FromString(state["narrow"].numpy().tobytes())
        return Narrowed(whole, narrow, float(state["flops"])), state
    except (AttributeError, DecodeError, KeyError, TypeError, ValueError) as error:
        raise LearnError(_damaged(path)) from error


def _damaged(path: Path) -> str:
    return f"{path}, which a teaching was to be continued from, is damaged; remove it"
