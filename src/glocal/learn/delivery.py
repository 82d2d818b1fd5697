"""Write a trained model to files that glocal runs, with their cards and measured accuracy."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.card import METADATA_KEY
from glocal.encoders.onnx import OnnxEncoder
from glocal.learn.cells import Cells
from glocal.learn.evaluator import Evaluation
from glocal.learn.export import export, trace, write_model
from glocal.learn.finishing import choose_fitting, fit_final, place_keypoints
from glocal.learn.heads.attentive import Attentive
from glocal.learn.model import Model
from glocal.learn.settings import STATIONARY, Settings
from glocal.learn.training import Trained
from glocal.registry import part

_VERSION = 1  # of every model that `glocal train` writes


@dataclass(frozen=True, slots=True)
class Delivered:
    """One model file that was written.

    Attributes:
        path: the file.
        bytes: size of the file.
        difference: largest difference between its outputs and the model's, on random images.
        figures: mean average precision on held-out images, by kind; empty if none were held out.
    """

    path: Path
    bytes: int
    difference: float
    figures: dict[str, float]


def half_path(path: Path) -> Path:
    """Path of the half-precision file beside a model's file."""
    return path.with_name(f"{path.stem}-half{path.suffix}")


def deliver(
    trained: Trained,
    settings: Settings,
    output: Path,
    *,
    licence: str,
    training_data: Sequence[str],
) -> list[Delivered]:
    """Fit the final layers, and write the model in single and in half precision.

    Both files share one space: a gallery that one of them indexed can be searched with the other.

    Args:
        trained: the trained model, which is changed.
        settings: the training's.
        output: path of the file in single precision.
        licence: SPDX expression of the weights.
        training_data: description of the data for the card, one line for each data set.

    Raises:
        LearnError: the model cannot be fitted or exported.
        DiskFullError: a file cannot be written.
        MissingExtraError: a package for exporting is not installed.
    """
    model = trained.model.eval()
    chosen = choose_fitting(trained.samples, settings.dim, settings.seed)

    def read(sample: Any) -> NDArray[np.uint8]:
        return trained.cache.read(sample.path)

    whiten = settings.final == "whitening"
    fit_final(model, chosen, read, side=settings.input_side, whiten=whiten)
    place_keypoints(model, chosen, read)
    traced = trace(model)
    space = name_space(model, output.stem)
    files = []
    for path, half in ((output, False), (half_path(output), True)):
        card = make_card(
            model,
            settings,
            name=path.stem,
            space=space,
            licence=licence,
            training_data=training_data,
        )
        if trained.speaks:
            card["speaks"] = list(trained.speaks)
        if STATIONARY in part("objective", settings.objective).traits:
            card["classes"] = list(trained.classes)
        card["trained"] |= {"step": trained.step, "finished": trained.finished}
        card["trained"]["images"] = dict(Counter(sample.split for sample in trained.samples))
        difference = export(model, card, path, half=half, traced=traced)
        figures = evaluate_file(trained.evaluate, path)
        card["accuracy"] = {f"held-out {kind}": round(value, 4) for kind, value in figures.items()}
        replace_card(path, card)
        files.append(Delivered(path, path.stat().st_size, difference, figures))
    return files


def name_space(model: Model, name: str) -> str:
    """Name the space of a finished model's vectors: another training gives another name.

    Args:
        model: finished model, after all fitting.
        name: name of the model.

    Returns:
        ``NAME-vVERSION-HASH``, where the hash is of all weights.
    """
    digest = hashlib.sha256()
    for key, weight in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return f"{name}-v{_VERSION}-{digest.hexdigest()[:8]}"


def make_card(
    model: Model,
    settings: Settings,
    *,
    name: str,
    space: str,
    licence: str,
    training_data: Sequence[str],
) -> dict[str, Any]:
    """What a gallery and a person need to know about a model; accuracy is added later."""
    attentive = [part for part in model.head.modules() if isinstance(part, Attentive)]
    local: Cells | Attentive = attentive[0] if attentive else model.cells
    area = settings.input_side**2
    trained = {
        key: value
        for key, value in settings.as_dict().items()
        if key not in {"workers", "device", "start", "compatible_with"}
    }
    return {
        "name": name,
        "version": _VERSION,
        "space": space,
        "licence": licence,
        "sources": [f"{settings.backbone} ({settings.weights})"],
        "dim": model.dim,
        "local": {
            "dim": local_dim(local),
            "count": local.count,
            "stride": local.level.stride,
        },
        "input": {"area": area, "multiple": model.backbone.multiple, "max_aspect": 4.0},
        "training_data": list(training_data),
        "accuracy": {},
        "trained": trained,
        "made_by": "glocal train",
    }


def local_dim(local: Cells | Attentive) -> int:
    """Length of a model's local descriptors."""
    if isinstance(local, Cells):
        return local.whitening.linear.out_features
    return local.encode.out_channels


def evaluate_file(evaluate: Evaluation, path: Path) -> dict[str, float]:
    """Measure retrieval with a model file on held-out images; empty if there are none."""
    if not evaluate.has_images:
        return {}
    encoder = OnnxEncoder(path)

    def encode(images: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return np.stack([encoder.encode([image])[0].vector for image in images])

    return evaluate(encode)


def replace_card(path: Path, card: dict[str, Any]) -> None:
    """Replace the card in a model file."""
    import onnx

    proto = onnx.load(str(path))
    for entry in proto.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = json.dumps(card, sort_keys=True)
    write_model(path, proto.SerializeToString(deterministic=True))
