"""A model in int8 beside the same model in float: which of the two encodes on this machine.

`glocal quantize` writes ``MODEL.int8.onnx``, whose card names the file that it is made of by its
SHA-256. Vectors of both are of one space, so that it never matters which of them made a vector,
and the faster one is used: processors with instructions for products of bytes take half the time,
others gain nothing. Both are timed once on a machine. Where products of bytes overflow, as on
processors that add them up in 16 bits, vectors would be wrong; so the picture that is timed has to
get about the vector from both that it got where the file was made.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.card import Card
from glocal.encoders.hashes import file_sha256
from glocal.encoders.remembered import recall, remember, remembered_file
from glocal.errors import ModelError

Precision = Literal["auto", "float", "int8"]
BUNDLED = Path(__file__).parent / "models"
"""Where the models lie that come with glocal."""

VARIABLE = "GLOCAL_PRECISION"
SUFFIX = ".int8.onnx"
GAIN = 0.9
"""int8 is used where it takes at most so much of the time that float takes."""

_REPEATS = 7
_TOLERANCE = 0.01
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Twin:
    """A model in int8 that belongs to one in float.

    Attributes:
        path: the file.
        agreement: cosine of the vectors that both give for the picture of `trial_picture`, as it
            was where the file was made.
        sha256: of the file in float.
    """

    path: Path
    agreement: float
    sha256: str


def wanted(precision: str | None) -> Precision:
    """What was asked for: in a call, or else by the variable ``GLOCAL_PRECISION``.

    Raises:
        ModelError: it is none of ``auto``, ``float`` and ``int8``.
    """
    named = precision if precision is not None else os.environ.get(VARIABLE) or "auto"
    for choice in get_args(Precision):
        if named == choice:
            return choice  # type: ignore[no-any-return]
    where = f"the variable {VARIABLE}" if precision is None else "the argument precision"
    raise ModelError(f"{where} is {named!r}; name one of {', '.join(get_args(Precision))}")


def twin_path(path: Path) -> Path:
    """Where the twin of a model's file lies beside it."""
    return path.with_name(f"{path.stem}{SUFFIX}")


def find_twin(path: Path, card: Card) -> Twin | None:
    """The twin of a model, beside its file or among the bundled ones.

    A model that differs from another only in the scales at which it encodes, or in how many local
    features it gives, has the twin of that one: ``same_network_as`` in the card is the SHA-256 of
    its file.

    Args:
        path: of the model in float.
        card: of that model.
    """
    from glocal.encoders.onnx import read_card  # which imports this module

    if path.name.endswith(SUFFIX):
        return None
    sha256 = ""
    for place in (twin_path(path), *sorted(BUNDLED.glob(f"*{SUFFIX}"))):
        try:
            found = read_card(place)
        except ModelError:
            continue
        made = None if found is None else found.everything.get("precision")
        if found is None or not isinstance(made, dict):
            continue
        sha256 = sha256 or file_sha256(path)
        same = (found.dim, found.area, found.multiple) == (card.dim, card.area, card.multiple)
        agreement = made.get("trial")
        of_it = made.get("of") in (sha256, card.everything.get("same_network_as", sha256))
        if of_it and same and isinstance(agreement, int | float):
            return Twin(place, float(agreement), sha256)
    return None


def trial_picture(card: Card) -> NDArray[np.uint8]:
    """A picture of edges, gradients and texture that is the same everywhere.

    Returns:
        ``(1, side, side, 3)`` uint8, as large as the model's input usually is.
    """
    side = max(1, round(math.sqrt(card.area) / card.multiple)) * card.multiple
    rows, columns = np.mgrid[0:side, 0:side] / side
    rng = np.random.default_rng(0)
    picture = np.stack([80 + 120 * rows, 200 - 130 * columns, 60 + 90 * (rows + columns)], 2)
    for _ in range(24):
        y, x, radius = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.03, 0.22)
        round_ = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        square = (abs(rows - y) < radius) & (abs(columns - x) < radius * rng.uniform(0.2, 1))
        picture[round_ if rng.random() < 0.5 else square] = rng.uniform(0, 255, 3)
    picture += 12 * rng.standard_normal(picture.shape)
    return picture.clip(0, 255).astype(np.uint8)[None]


def pays(
    float_file: Path,
    twin: Twin,
    card: Card,
    *,
    open_file: Callable[[Path], Any],
    clock: Callable[[], float] = time.perf_counter,
    folder: Path | None = None,
) -> bool:
    """Whether the twin is faster here and right; measured once and then remembered.

    Args:
        float_file: the model in float.
        twin: in int8.
        card: of both.
        open_file: opens a file with ONNX Runtime, for one thread: with more, whatever else runs
            would count more than the network, and each number of threads could say another thing.
        clock: in seconds.
        folder: where figures are remembered; `None` for the user's cache.
    """
    path = remembered_file("precision", twin.sha256 + file_sha256(twin.path), 1, folder)
    times = recall(path, ("float", "int8"))
    if times is None:
        times = _measured(float_file, twin, card, open_file, clock)
        remember(path, dict(zip(("float", "int8"), times, strict=True)))
    return times[1] <= GAIN * times[0]


def _measured(
    float_file: Path,
    twin: Twin,
    card: Card,
    open_file: Callable[[Path], Any],
    clock: Callable[[], float],
) -> list[float]:
    """Milliseconds of both, by turns; int8 takes as long as float where its vector is wrong."""
    picture = {"image": trial_picture(card)}
    sessions = [open_file(float_file)]
    try:
        sessions.append(open_file(twin.path))
    except ModelError as error:
        _log.warning("%s; float is used", error)
        return [1.0, 1.0]
    # The first run is slower, and gives what is compared.
    vectors = [session.run(["vector"], picture)[0].ravel() for session in sessions]
    spent: list[list[float]] = [[], []]
    for _ in range(_REPEATS):
        for session, each in zip(sessions, spent, strict=True):
            before = clock()
            session.run(["vector"], picture)
            each.append(1000 * (clock() - before))
    in_float, in_int8 = map(min, spent)  # what else runs can only add to it
    agreement = float(vectors[0] @ vectors[1])
    if not agreement >= twin.agreement - _TOLERANCE:
        _log.warning(
            "on this machine %s gives a vector that agrees with float's by %.3f instead of %.3f: "
            "float is used",
            twin.path, agreement, twin.agreement,
        )  # fmt: skip
        in_int8 = in_float
    _log.info("an image takes %.1f ms in float and %.1f ms in int8", in_float, in_int8)
    return [max(in_float, 1e-6), max(in_int8, 1e-6)]
