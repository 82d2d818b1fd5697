"""Model files that are made of others: what they may be made of, and how far both agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.card import Card
from glocal.encoders.fit import fit
from glocal.encoders.onnx import OnnxEncoder
from glocal.errors import ImageError, LearnError
from glocal.images import Limits, load
from glocal.learn.quantization import open_model

LEAST_IMAGES = 20
MOST_IMAGES = 4000
"""More are not read: they would be kept in memory, 0.3 MB each."""

_TIMED = 20


def card_of(model: Path, what: str) -> Card:
    """The card of a model that another one can be made of.

    Args:
        model: its file.
        what: what is to be done with it, a participle.

    Raises:
        LearnError: it holds several encoders, is in int8, or its card keeps it in float.
        ModelError: there is no such model, or it cannot be run.
    """
    card = OnnxEncoder(model, precision="float").card  # checks that it is an encoder
    made = card.everything.get("precision")
    if "stitches" in card.everything or made is not None:
        why = "it is in int8 already" if isinstance(made, dict) else "its card keeps it in float"
        raise LearnError(
            f"the model {model} cannot be {what}: "
            f"{'it holds several encoders' if made is None else why}; name one that glocal train "
            "wrote"
        )
    return card


def read_images(
    photos: Sequence[Path],
    card: Card,
    listen: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> tuple[dict[Path, NDArray[np.uint8]], dict[Path, str]]:
    """Images as a model takes them, ``(1, h, w, 3)`` each, and why others could not be read."""
    images: dict[Path, NDArray[np.uint8]] = {}
    skipped: dict[Path, str] = {}
    for number, path in enumerate(photos):
        try:
            pixels = load(path, min_pixels=card.area, limits=Limits()).array
            images[path] = fit(pixels, card)
        except ImageError as error:
            skipped[path] = str(error)
        listen("reading images", number + 1, len(photos))
    return images, skipped


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a model that was made of another compares with it on images.

    Attributes:
        median: cosine of the vectors of both, in the median.
        least: the lowest one.
        descriptors: the same of local descriptors that both find at the same place, in the median.
        keypoints: share of the model's keypoints that the other finds too.
        time: processor time for all features of an image, on one thread, as a part of the model's.
        milliseconds: the same in milliseconds.
    """

    median: float
    least: float
    descriptors: float
    keypoints: float
    time: float
    milliseconds: float


def compared(model: Any, made: Any, images: Sequence[NDArray[np.uint8]]) -> Agreement:
    """How a model that was made of another compares with it.

    Args:
        model: a ``ModelProto``.
        made: the one that was made of it.
        images: each ``(1, h, w, 3)`` uint8, kept aside.
    """
    outputs = ["vector", "keypoints", "descriptors"]
    cosines: list[float] = []
    descriptors: list[float] = []
    shared: list[float] = []
    spent: list[list[float]] = [[], []]
    sessions = open_model(model), open_model(made)
    for number, image in enumerate(images):
        pair = []
        for which, session in enumerate(sessions):
            before = process_time()
            pair.append(session.run(outputs, {"image": image}))
            if 2 <= number < _TIMED or len(images) <= 2:  # the first runs are slower
                spent[which].append(process_time() - before)
        (vector, places, described), (other, other_places, others) = pair
        cosines.append(float(vector.ravel() @ other.ravel()))
        at = {place.tobytes(): row for row, place in enumerate(other_places)}
        both = [(row, at.get(place.tobytes())) for row, place in enumerate(places)]
        met = [(row, there) for row, there in both if there is not None]
        shared.append(len(met) / max(1, len(both)))
        descriptors += [float(described[row] @ others[there]) for row, there in met]
    of_model, of_made = (float(np.median(times)) for times in spent)
    return Agreement(
        median=float(np.median(cosines)),
        least=min(cosines),
        descriptors=float(np.median(descriptors)) if descriptors else 0.0,
        keypoints=float(np.mean(shared)),
        time=of_made / of_model if of_model else 1.0,
        milliseconds=1000 * of_made,
    )
