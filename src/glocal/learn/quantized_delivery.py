"""Write a model's twin in int8, with what its card says: how well it agrees, and on what."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glocal.encoders.card import METADATA_KEY
from glocal.encoders.hashes import file_sha256
from glocal.encoders.precision import trial_picture
from glocal.errors import LearnError
from glocal.learn.export import halve, write_model
from glocal.learn.file_agreement import LEAST_IMAGES, MOST_IMAGES, card_of, compared, read_images
from glocal.learn.lean_graph import lean
from glocal.learn.quantization import open_model, plan, quantised, vectors

CALIBRATING = 120
_KEPT_ASIDE = 0.1
_MOST_ASIDE = 200


@dataclass(frozen=True, slots=True)
class Quantized:
    """What was written, and how it compares with the model it is made of.

    Attributes:
        path: the file.
        bytes: its size.
        images: how many were used, besides those kept aside.
        aside: how many images were kept aside to compare on.
        median: cosine of the vectors of both, in the median of images kept aside.
        least: the lowest one.
        descriptors: the same of local descriptors that both find at the same place, in the median.
        keypoints: share of the model's keypoints that the twin finds too.
        floats: how many of the first layers stay in float.
        time: processor time of the twin here, as a part of the model's.
        skipped: files that are no images, and why.
    """

    path: Path
    bytes: int
    images: int
    aside: int
    median: float
    least: float
    descriptors: float
    keypoints: float
    floats: int
    time: float
    skipped: dict[Path, str]


def quantize(
    model: Path,
    photos: Sequence[Path],
    output: Path,
    *,
    steps: int = 0,
    seed: int = 0,
    listen: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Quantized:
    """Make the twin of a model.

    Args:
        model: file of the model, in single or half precision.
        photos: image files to calibrate with, such as the model will see; a tenth is kept aside.
        output: file to write, which is replaced in one step.
        steps: of training with rounded weights; 0 for none, which needs no torch.
        seed: of which images are used for what, and of the training.
        listen: is told the stage, and how much of it is done.

    Raises:
        LearnError: the model cannot be quantised, or there are too few images.
        ModelError: there is no such model, or it cannot be run.
        DiskFullError: the file cannot be written.
    """
    import onnx

    card = card_of(model, "quantised")
    order = np.random.default_rng([seed, 0]).permutation(len(photos))
    read, skipped = read_images([photos[n] for n in order[:MOST_IMAGES]], card, listen)
    images = list(read.values())
    if len(images) < LEAST_IMAGES:
        raise LearnError(
            f"{len(images)} images can be read, and {LEAST_IMAGES} are the least to choose ranges "
            "with; some hundred of the kind that the model will see are better"
        )
    aside = min(_MOST_ASIDE, max(2, round(_KEPT_ASIDE * len(images))))
    held, used = images[:aside], images[aside:]
    proto = onnx.load(str(model))
    listen("choosing ranges", 0, 1)
    chosen = plan(proto, used[:CALIBRATING])
    listen("choosing ranges", 1, 1)
    if steps:
        from glocal.learn.quantized_training import train  # needs torch

        chosen = train(
            chosen,
            used,
            steps=steps,
            seed=seed,
            listen=lambda step, loss: listen("training", step, steps),
        )
    twin = quantised(chosen)
    lean(twin)
    found = compared(proto, twin, held)
    picture = [trial_picture(card)]
    trial = vectors(open_model(proto), picture) * vectors(open_model(twin), picture)
    everything = dict(card.everything)
    everything["precision"] = {
        "kind": "int8",
        "of": file_sha256(model),
        "trial": round(float(trial.sum()), 4),
        "images": len(used),
        "steps": steps,
        "layers in float": chosen.floats,
        "agreement": {
            "images": aside,
            "median": round(found.median, 4),
            "least": round(found.least, 4),
        },
    }
    halve(twin)
    for entry in twin.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = json.dumps(everything, sort_keys=True)
    write_model(output, twin.SerializeToString(deterministic=True))
    return Quantized(
        path=output,
        bytes=output.stat().st_size,
        images=len(used),
        aside=aside,
        floats=chosen.floats,
        median=found.median,
        least=found.least,
        descriptors=found.descriptors,
        keypoints=found.keypoints,
        time=found.time,
        skipped=skipped,
    )
