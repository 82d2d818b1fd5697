"""Write a trained stitched network to files that glocal runs, with cards that list the stitches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.encoders.onnx import OnnxEncoder
from glocal.encoders.stitches import Stitch
from glocal.errors import ModelError
from glocal.learn.cost import count_flops
from glocal.learn.delivery import half_path, local_dim, name_space, replace_card
from glocal.learn.evaluator import model_images
from glocal.learn.model import Model
from glocal.learn.stitch_training import StitchedPair
from glocal.learn.stitched_file import export_stitched, trace_routes

_REPEATS = 5
_COMPARED = 10
_SAME = 1e-3


@dataclass(frozen=True, slots=True)
class DeliveredStitches:
    """One file of stitches that was written.

    Attributes:
        path: the file.
        bytes: size of the file.
        difference: largest difference between its outputs and the network's, on random images.
        stitches: what it holds, from fast to slow.
        space: of all of them.
    """

    path: Path
    bytes: int
    difference: float
    stitches: tuple[Stitch, ...]
    space: str


def deliver_stitches(
    pair: StitchedPair,
    output: Path,
    *,
    licence: str,
    training_data: Sequence[str],
    large_file: Path | None = None,
) -> list[DeliveredStitches]:
    """Write the network in single and in half precision.

    Args:
        pair: the trained network.
        output: path of the file in single precision.
        licence: SPDX expression of the weights.
        training_data: description of the data for the card, one line for each data set.
        large_file: the large encoder's own model file. If its vectors are those of the network,
            its space is too, and galleries that it has indexed are searched by every stitch.

    Raises:
        LearnError: the network cannot be exported.
        DiskFullError: a file cannot be written.
        MissingExtraError: a package for exporting is not installed.
    """
    joined, settings = pair.joined, pair.settings
    images = [pair.cache.read(sample.path) for sample in pair.samples[:_COMPARED]]
    space = None
    if large_file is not None:
        space = shared_space(joined.large, large_file, images, settings.input_side)
    if space is None:
        space = name_space(joined.large, output.stem)
    traced = trace_routes(joined)
    files = []
    for path, half in ((output, False), (half_path(output), True)):
        card = _card(pair, name=path.stem, space=space, licence=licence)
        card["training_data"] = list(training_data)
        difference = export_stitched(joined, card, path, half=half, traced=traced)
        times = _times(path, settings.input_side, joined.names())
        for stitch, spent in zip(card["stitches"], times, strict=True):
            stitch["time"] = round(spent / max(times), 4)
        replace_card(path, card)
        stitches = OnnxEncoder(path).stitches
        files.append(DeliveredStitches(path, path.stat().st_size, difference, stitches, space))
    return files


@torch.no_grad()
def shared_space(
    large: Model, file: Path, images: Sequence[NDArray[np.uint8]], side: int
) -> str | None:
    """The space of a model file, if its vectors of some images are a model's; `None` otherwise.

    Args:
        large: the model, in evaluation mode on the CPU.
        file: the model file.
        images: ``(h, w, 3)`` uint8 each, at least one.
        side: side of the model's input, in pixels.
    """
    try:
        encoder = OnnxEncoder(file)
    except ModelError:
        return None
    if encoder.dim != large.dim or encoder.card.area != side**2:
        return None
    cpu = torch.device("cpu")
    for image, pixels in zip(images, model_images(images, side, cpu), strict=True):
        own = large(pixels).vector[0].numpy()
        if not float(own @ encoder.encode([image])[0].vector) > 1 - _SAME:
            return None
    return encoder.space


def _card(pair: StitchedPair, *, name: str, space: str, licence: str) -> dict[str, Any]:
    """The card, whose stitches have no measured times yet."""
    joined, settings = pair.joined, pair.settings
    multiple = max(each.backbone.multiple for each in (joined.small, joined.large))
    image = torch.zeros(1, 3, settings.input_side, settings.input_side)
    stitches = [
        {
            "name": route,
            "macs": count_flops(joined.model(number), image) // 2,
            "time": 1.0,
            "agreement": round(pair.agreement[number], 4),
        }
        for number, route in enumerate(joined.names())
    ]
    local = joined.large.cells
    used = ("batch", "side", "lr", "seed", "strength", "mirror", "average", "epochs", "minutes")
    return {
        "name": name,
        "version": 1,
        "space": space,
        "licence": licence,
        "sources": [f"{each['backbone']} ({each['weights']})" for each in (pair.small, pair.large)],
        "dim": joined.large.dim,
        "local": {
            "dim": local_dim(local),
            "count": local.count,
            "stride": local.level.stride,
        },
        "input": {"area": settings.input_side**2, "multiple": multiple, "max_aspect": 4.0},
        "accuracy": {},
        "stitches": stitches,
        "trained": {key: settings.as_dict()[key] for key in used}
        | {"step": pair.step, "small": pair.small, "large": pair.large},
        "made_by": "glocal stitch",
    }


def _times(path: Path, side: int, names: Sequence[str]) -> list[float]:
    """Least seconds of the processor that each stitch takes, measured by turns."""
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    encoders = [OnnxEncoder(path, stitch=name) for name in names]
    least = [float("inf")] * len(names)
    for _ in range(_REPEATS + 1):
        for number, encoder in enumerate(encoders):
            before = time.process_time()
            encoder.encode([image])
            least[number] = min(least[number], time.process_time() - before)
    return least
