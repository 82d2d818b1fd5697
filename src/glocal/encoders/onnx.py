"""Encoders that run on ONNX Runtime: one file holds the network and its card."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from queue import LifoQueue
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.card import METADATA_KEY, Card
from glocal.encoders.features import Features
from glocal.encoders.fit import fit
from glocal.encoders.hashes import file_sha256
from glocal.encoders.onnx_file import cut, metadata
from glocal.encoders.precision import Precision, find_twin, pays, wanted
from glocal.encoders.regions import RegionSettings, region_vectors
from glocal.encoders.scales import mean_grid, mean_vector
from glocal.encoders.spaces import space_of
from glocal.encoders.stitches import Stitch, check_choice, measured, stitches_of, within_budget
from glocal.errors import ImageError, ModelError

_OUTPUTS = ["vector", "keypoints", "descriptors", "scores"]
_OLD_NAMES = {"strengths": "scores"}  # outputs of models exported before the rename
_CONTRIBUTIONS = "contributions"  # an output that a model may have besides
_WITH_CONTRIBUTIONS = "with_contributions"  # an optional input: whether to compute it
_log = logging.getLogger(__name__)


class Encoder(Protocol):
    """Turns images into features; safe to call from many threads at once."""

    @property
    def card(self) -> Card:
        """What the model file says about itself."""
        ...

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        ...

    @property
    def space(self) -> str:
        """Name of the space of the vectors; see `glocal.encoders.spaces`."""
        ...

    @property
    def gives_regions(self) -> bool:
        """Whether it can give vectors of regions."""
        ...

    def encode(
        self,
        images: Sequence[NDArray[np.uint8]],
        *,
        scale: float = 1.0,
        regions: RegionSettings | None = None,
    ) -> list[Features]:
        """Encode images, each ``(h, w, 3)`` uint8 RGB upright of any size; see `OnnxEncoder`."""
        ...


class OnnxEncoder:
    """A model from one ``.onnx`` file.

    Attributes:
        path: the model file.
        encodes: the file that is run: that one, or its twin in int8.

    Args:
        path: model file.
        threads: number of threads for one image; 1 when many images are encoded side by side.
        sessions: number of images that may be encoded side by side; more callers wait. Two
            threads that share one session take a fifth longer than with one each.
        stitch: which of the encoders to use that the file holds, see `glocal.encoders.stitches`;
            `None` for the most accurate one.
        budget_ms: use the most accurate one that takes at most so many milliseconds for an image,
            or else the fastest. Each is measured once on this machine, which is remembered.
        precision: ``"float"``, ``"int8"`` or ``"auto"``, the faster one where the model has a twin
            in int8, see `glocal.encoders.precision`; `None` for what ``GLOCAL_PRECISION`` says, or
            else ``"auto"``. Vectors of both are of one space.
        clock: measures them, in seconds.

    Raises:
        ModelError: the file is missing or damaged, or its inputs and outputs are not those that
            glocal expects; it holds one encoder and one is to be chosen, or none of that name; the
            precision is none of these, or int8 is asked for by the argument and there is no twin.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 1,
        sessions: int = 1,
        stitch: str | None = None,
        budget_ms: float | None = None,
        precision: Precision | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.path, self._threads = path, threads
        card = read_card(path)
        self._stitches = () if card is None else stitches_of(card.everything, str(path))
        self._stitch: str | None = None
        if card is not None and (self._stitches or stitch is not None or budget_ms is not None):
            self._stitch = self._chosen(card, stitch, budget_ms, clock)
        self.encodes = path if card is None else self._of_precision(card, precision, clock)
        session = self._opened()
        self._idle: LifoQueue[Any] = LifoQueue()  # the last used is the next to be used
        for _ in range(sessions - 1):
            self._idle.put(None)  # made when it is needed
        self._idle.put(session)
        if card is None:
            raise ModelError(
                f"{path} is an ONNX model without glocal's card; use one that `glocal train` wrote"
            )
        self._card = card
        self._prefix = "" if self._stitch is None else f"{self._stitch}/"
        outputs = [output.name.removeprefix(self._prefix) for output in session.get_outputs()]
        inputs = [(value.name, value.type) for value in session.get_inputs()]
        self._features = [name for name in outputs if name != _CONTRIBUTIONS]
        if [_OLD_NAMES.get(name, name) for name in self._features] != _OUTPUTS or inputs != [
            ("image", "tensor(uint8)")
        ]:
            raise ModelError(
                f"{self.encodes} takes {inputs} and gives {outputs}; glocal needs image, "
                f"tensor(uint8), and {_OUTPUTS}, and can use {_CONTRIBUTIONS}; "
                "export the model again"
            )
        self._can_explain = _CONTRIBUTIONS in outputs
        optional = [value.name for value in session.get_overridable_initializers()]
        self._explain = (
            {_WITH_CONTRIBUTIONS: np.array(True)} if _WITH_CONTRIBUTIONS in optional else {}
        )

    @property
    def card(self) -> Card:
        """What the model file says about itself."""
        return self._card

    @property
    def stitches(self) -> tuple[Stitch, ...]:
        """The encoders that the file holds, from fast to slow; empty where it holds one."""
        return self._stitches

    @property
    def stitch(self) -> str | None:
        """The name of the one that is used; `None` where there is no choice."""
        return self._stitch

    @property
    def precision(self) -> Precision:
        """What encodes: the model's own file, ``"float"``, or its twin, ``"int8"``."""
        return "float" if self.encodes == self.path else "int8"

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self._card.dim

    @cached_property
    def space(self) -> str:
        """Name of the space of the vectors; see `glocal.encoders.spaces`."""
        return space_of(self._card, file_sha256(self.path))

    @property
    def gives_regions(self) -> bool:
        """Whether the model says what each region of an image contributed to its vector."""
        return self._can_explain

    def encode(
        self,
        images: Sequence[NDArray[np.uint8]],
        *,
        scale: float = 1.0,
        regions: RegionSettings | None = None,
    ) -> list[Features]:
        """Encode images one after the other, each at its own shape.

        Args:
            images: each ``(h, w, 3)`` uint8 RGB, upright, at least 1x1.
            scale: side of the network's input relative to the usual one; vectors of other scales
                than 1 find objects that are as small as that in the gallery's images. At scale 1
                the vector is the mean over those of the card's scales.
            regions: which regions get a vector; `None` for none.

        Raises:
            ImageError: an array has another shape or type.
            ModelError: the model has no regions, see `gives_regions`.
        """
        if regions is not None:
            self._require_contributions()
        return [self._encode(image, scale, regions) for image in images]

    def contributions(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Split the vector of an image into what each region of the image contributed.

        Args:
            image: ``(h, w, 3)`` uint8 RGB, upright, at least 1x1.

        Returns:
            ``(rows, columns, d)`` float32: a grid over the whole image, whose sum over rows and
            columns is the vector that `encode` gives.

        Raises:
            ImageError: the array has another shape or type.
            ModelError: the model does not compute contributions.
        """
        self._require_contributions()
        grids = [self._pass(image, scale, [_CONTRIBUTIONS])[0] for scale in self._card.scales]
        return grids[0] if len(grids) == 1 else mean_grid(grids)

    def _pass(self, image: NDArray[np.uint8], scale: float, outputs: list[str]) -> list[Any]:
        """Run the network on an image."""
        inputs: dict[str, Any] = {"image": self._fitted(image, self._scaled(scale))}
        return self._run(outputs, inputs | (self._explain if _CONTRIBUTIONS in outputs else {}))

    def _require_contributions(self) -> None:
        if not self._can_explain:
            raise ModelError(
                f"model {self._card.name} v{self._card.version} ({self.path}) cannot say what the "
                f"regions of an image contributed to its vector: it has no output "
                f"{_CONTRIBUTIONS!r}; use a model that has, such as the bundled one"
            )

    def _encode(
        self, image: NDArray[np.uint8], scale: float, regions: RegionSettings | None
    ) -> Features:
        here = regions is not None and regions.scale == scale  # or else in a pass of their own
        found = self._pass(image, scale, [*self._features, *([_CONTRIBUTIONS] if here else [])])
        # The best are first; a twin that other models have too may give more than this one does.
        keypoints, descriptors, scores = (each[: self._card.local_count] for each in found[1:4])
        vector = found[0]
        grid = found[4] if here else None
        if scale == 1 and len(self._card.scales) > 1:
            wanted = ["vector", *([_CONTRIBUTIONS] if here else [])]
            others = [self._pass(image, other, wanted) for other in self._card.scales[1:]]
            vector = mean_vector([vector, *(other[0] for other in others)])
            grid = mean_grid([found[4], *(other[1] for other in others)]) if here else None
        if regions is None:
            return Features(vector, keypoints, descriptors, scores)
        if grid is None:
            (grid,) = self._pass(image, regions.scale, [_CONTRIBUTIONS])
        kept = region_vectors(grid, regions)
        return Features(vector, keypoints, descriptors, scores, kept.vectors, kept.boxes)

    def _chosen(
        self, card: Card, stitch: str | None, budget_ms: float | None, clock: Callable[[], float]
    ) -> str:
        """Which stitch to use."""
        model = f"model {card.name} v{card.version} ({self.path})"
        names = [each.name for each in self._stitches]
        if stitch is None and budget_ms is None:
            return names[-1]
        check_choice(self._stitches, model, stitch=stitch, budget_ms=budget_ms)
        if budget_ms is None:
            return str(stitch)
        times = measured(
            names,
            lambda name: self._trial(card, name),
            sha256=file_sha256(self.path),
            threads=self._threads,
            clock=clock,
        )
        agreement = [each.agreement for each in self._stitches]
        number, kept = within_budget(times, agreement, budget_ms)
        if not kept:
            _log.warning(
                "no stitch of %s takes at most %g ms on this machine; the fastest, %s, is used, "
                "which takes %.1f ms",
                model, budget_ms, names[number], times[number],
            )  # fmt: skip
        else:
            _log.info(
                "%s: the stitch %s takes %.1f ms and is used", model, names[number], times[number]
            )
        return names[number]

    def _opened(self) -> Any:
        """A session of the file that encodes; of the model itself where its twin is damaged."""
        try:
            return open_session(self.encodes, self._threads, self._stitch)
        except ModelError as error:
            if self.encodes == self.path:
                raise
            _log.warning("%s; the model encodes in float instead", error)
            self.encodes = self.path
            return open_session(self.path, self._threads, self._stitch)

    def _of_precision(
        self, card: Card, precision: Precision | None, clock: Callable[[], float]
    ) -> Path:
        """The file that encodes: that of the model, or its twin."""
        chosen = wanted(precision)
        if chosen == "float" or (chosen == "auto" and card.everything.get("precision") == "float"):
            return self.path
        twin = find_twin(self.path, card)
        if twin is None:
            if precision == "int8":
                raise ModelError(
                    f"model {card.name} v{card.version} ({self.path}) has no twin in int8; make "
                    f"one: glocal quantize {self.path} --images FOLDER"
                )
            return self.path
        used = chosen == "int8" or pays(
            self.path,
            twin,
            card,
            open_file=lambda file: open_session(file, 1),
            clock=clock,
        )
        return twin.path if used else self.path

    def _trial(self, card: Card, name: str) -> Callable[[], object]:
        """Encodes an image of the usual size by a stitch."""
        session = open_session(self.path, self._threads, name)
        outputs = [f"{name}/{output}" for output in _OUTPUTS]
        side = max(1, round(math.sqrt(card.area) / card.multiple)) * card.multiple
        image = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
        return lambda: session.run(outputs, {"image": image})

    def _scaled(self, scale: float) -> Card:
        area = max(round(self._card.area * scale**2), self._card.multiple**2)
        return replace(self._card, area=area)

    def _run(self, outputs: list[str], inputs: dict[str, Any]) -> list[Any]:
        session = self._idle.get()
        try:
            session = session or self._opened()
            found: list[Any] = session.run([self._prefix + name for name in outputs], inputs)
            return found
        finally:
            self._idle.put(session)

    def _fitted(self, image: NDArray[np.uint8], size: Card) -> NDArray[np.uint8]:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise ImageError(
                f"an encoder takes arrays (h, w, 3) uint8, not {image.shape} {image.dtype}; "
                "read images with glocal.images.load"
            )
        return fit(image, size)


def read_card(path: Path) -> Card | None:
    """The card of a model, without running it; `None` where the file has none that is readable.

    Raises:
        ModelError: the file is missing, or the card is damaged.
    """
    if not path.is_file():
        raise ModelError(f"there is no model file {path}; check the path")
    try:
        text = metadata(memoryview(path.read_bytes()), METADATA_KEY)
    except ValueError:  # no ONNX file: ONNX Runtime says what is wrong with it
        return None
    return None if text is None else Card.read(text, str(path))


def check_budget(path: Path, budget_ms: float) -> None:
    """Check that a model has stitches to choose from, without running it.

    Raises:
        ModelError: it has none, the budget is no time, or the file is missing.
    """
    card = read_card(path)
    if card is not None:
        model = f"model {card.name} v{card.version} ({path})"
        stitches = stitches_of(card.everything, str(path))
        check_choice(stitches, model, stitch=None, budget_ms=budget_ms)


def open_session(path: Path, threads: int, stitch: str | None = None) -> Any:
    """Open a model file with ONNX Runtime.

    Args:
        path: model file.
        threads: number of threads that one run may use.
        stitch: the only one of its encoders that is opened, where it holds several.

    Raises:
        ModelError: the file is missing or ONNX Runtime cannot run it.
    """
    import onnxruntime  # 0.15 s that only encoding needs

    if not path.is_file():
        raise ModelError(f"there is no model file {path}; check the path")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the cores from whatever follows the encoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors come as exceptions
    # Inputs differ in shape: plans kept for each would only grow.
    options.enable_mem_pattern = False
    data = path.read_bytes()
    if stitch is not None:
        try:
            data = cut(memoryview(data), f"{stitch}/")
        except ValueError as error:
            raise ModelError(
                f"the model {path} does not hold the stitch {stitch!r} that its card lists: "
                f"{error}; make the file again: glocal stitch"
            ) from error
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base but Exception
        reason = str(error).strip().splitlines()[0][:200]
        if "external data" in reason.lower():  # beside it; nothing but this file is read
            reason = "its weights are in another file; export it as one, without external data"
        raise ModelError(f"ONNX Runtime cannot run the model {path}: {reason}") from error
