"""From a trained model to files that glocal runs, each with its card and its measured accuracy."""

from __future__ import annotations

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
from glocal.learn.evaluator import Evaluator
from glocal.learn.export import export, trace, write_model
from glocal.learn.finishing import choose_fitting, fit_final, place_keypoints
from glocal.learn.heads.attentive import Attentive
from glocal.learn.model import Model
from glocal.learn.settings import Settings
from glocal.learn.training import Trained


@dataclass(frozen=True, slots=True)
class Delivered:
    """One file.

    Attributes:
        path: of it.
        bytes: its size.
        difference: of its vectors' numbers from the model's, at most, on random images.
        figures: mean average precision on held-out images, by kind; empty where none were.
    """

    path: Path
    bytes: int
    difference: float
    figures: dict[str, float]


def half_path(path: Path) -> Path:
    """Where the file with weights in half precision lies beside a model's."""
    return path.with_name(f"{path.stem}-half{path.suffix}")


def deliver(
    trained: Trained,
    settings: Settings,
    output: Path,
    *,
    licence: str,
    training_data: Sequence[str],
) -> list[Delivered]:
    """Fit what is left to fit, and write the model in single and in half precision.

    Args:
        trained: its model is changed.
        settings: it was trained with.
        output: path of the file in single precision.
        licence: SPDX expression of the weights.
        training_data: what to say of the data in the card, one line for each set.

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
    files = []
    for path, half in ((output, False), (half_path(output), True)):
        card = make_card(
            model, settings, name=path.stem, licence=licence, training_data=training_data
        )
        card["trained"] |= {"step": trained.step, "finished": trained.finished}
        card["trained"]["images"] = dict(Counter(sample.split for sample in trained.samples))
        difference = export(model, card, path, half=half, traced=traced)
        figures = evaluate_file(trained.evaluate, path)
        card["accuracy"] = {f"held-out {kind}": round(value, 4) for kind, value in figures.items()}
        replace_card(path, card)
        files.append(Delivered(path, path.stat().st_size, difference, figures))
    return files


def make_card(
    model: Model,
    settings: Settings,
    *,
    name: str,
    licence: str,
    training_data: Sequence[str],
) -> dict[str, Any]:
    """What a gallery and a person should know of a model; accuracy is measured later."""
    attentive = [part for part in model.head.modules() if isinstance(part, Attentive)]
    local: Cells | Attentive = attentive[0] if attentive else model.cells
    area = settings.input_side**2
    trained = {
        key: value
        for key, value in settings.as_dict().items()
        if key not in {"workers", "device", "start"}
    }
    return {
        "name": name,
        "version": 1,
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
    """Length of local descriptors."""
    if isinstance(local, Cells):
        return local.whitening.linear.out_features
    return local.encode.out_channels


def evaluate_file(evaluate: Evaluator, path: Path) -> dict[str, float]:
    """Retrieval with a model's file on held-out images; empty where there are none."""
    if not evaluate.able:
        return {}
    encoder = OnnxEncoder(path)

    def encode(images: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return np.stack([encoder.encode([image])[0].vector for image in images])

    return evaluate(encode)


def replace_card(path: Path, card: dict[str, Any]) -> None:
    """Give a model's file another card."""
    import onnx

    proto = onnx.load(str(path))
    for entry in proto.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = json.dumps(card, sort_keys=True)
    write_model(path, proto.SerializeToString(deterministic=True))
