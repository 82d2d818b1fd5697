"""Write a narrower copy of a model, with what its card says: how well it does, and on what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.card import METADATA_KEY, Card
from glocal.encoders.hashes import file_sha256
from glocal.errors import CompressError, LearnError
from glocal.evaluate import evaluate_labelled
from glocal.learn.collection import Sample, hold_out, without_twins
from glocal.learn.compress.narrowing import narrow, teach_back
from glocal.learn.export import halve, write_model
from glocal.learn.file_agreement import LEAST_IMAGES, MOST_IMAGES, card_of, compared, read_images
from glocal.learn.quantization import open_model, vectors
from glocal.registry import names, part

_DROPPED = ("accuracy", "trained", "speaks", "precision")  # true of the model alone
_MOST_ASIDE = 400


@dataclass(frozen=True, slots=True)
class Compressed:
    """What was written, and how it compares with the model it is made of.

    Attributes:
        path: the file.
        bytes: its size.
        bytes_before: the model's.
        flops: share of the convolutions' operations that is left.
        time: processor time for all features of an image here, on one thread, as a part of the
            model's.
        milliseconds: the same in milliseconds.
        images: how many taught it.
        aside: how many images were kept aside to compare on.
        median: cosine of the vectors of both, in the median of images kept aside.
        least: the lowest one.
        descriptors: the same of local descriptors that both find at the same place, in the median.
        keypoints: share of the model's keypoints that the smaller one finds too.
        accuracy: mean average precision and recall@1 of the model and of the smaller one among
            images kept aside that are in folders by label; empty if there are none.
        skipped: files that are no images, and why.
    """

    path: Path
    bytes: int
    bytes_before: int
    flops: float
    time: float
    milliseconds: float
    images: int
    aside: int
    median: float
    least: float
    descriptors: float
    keypoints: float
    accuracy: dict[str, tuple[float, float]]
    skipped: dict[Path, str]


def compress(
    model: Path,
    samples: Sequence[Sample],
    output: Path,
    *,
    method: str = "reconstruction",
    goal: str = "flops",
    keep: float = 0.5,
    steps: int = 600,
    seed: int = 0,
    listen: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Compressed:
    """Make a smaller and faster model.

    Args:
        model: file of the model, a network of convolutions in single or half precision.
        samples: image files such as the model will see. Where they lie in several folders, these
            are taken as labels, to measure by; nothing is learned from them.
        output: file to write.
        method: a compressor that removes channels.
        goal: ``flops``, operations of the convolutions, or ``time``, that of a vector here.
        keep: share to keep, in (0, 1).
        steps: of teaching by the model itself.
        seed: of which images are used for what, and of the teaching.
        listen: is told the stage, and how much of it is done.

    Raises:
        CompressError: the method or the goal makes no sense, or the goal cannot be reached.
        LearnError: the model cannot be compressed, or there are too few images.
        ModelError: there is no such model, or it cannot be run.
        MissingExtraError: a package is not installed.
        DiskFullError: the file cannot be written.
    """
    import onnx

    _check(method, goal, keep)
    card = card_of(model, "compressed")
    labelled = _by_folder(without_twins(samples))
    divided = hold_out(labelled, seed)
    random = np.random.default_rng([seed, 0])
    held = [sample for sample in divided if sample.split == "validation"]
    rest = [sample for sample in divided if sample.split != "validation"]
    held = [held[n] for n in random.permutation(len(held))[:_MOST_ASIDE]]
    chosen = [rest[n] for n in random.permutation(len(rest))[: MOST_IMAGES - len(held)]]
    read, skipped = read_images([s.path for s in (*held, *chosen)], card, listen)
    used = [read[sample.path] for sample in chosen if sample.path in read]
    kept = [sample for sample in held if sample.path in read]
    if len(used) < LEAST_IMAGES or len(kept) < 2:
        raise LearnError(
            f"{len(read)} images can be read, and {LEAST_IMAGES + 2} are the least to teach and to "
            "compare with; some thousand of the kind that the model will see are better"
        )
    proto = onnx.load(str(model))
    found = narrow(proto, used, method=method, goal=goal, keep=keep, listen=listen)
    made = teach_back(
        found,
        used,
        steps=steps,
        seed=seed,
        listen=lambda step, loss: listen("teaching", step, steps),
    )
    aside = [read[sample.path] for sample in kept]
    if any(stored.data_type == onnx.TensorProto.FLOAT16 for stored in proto.graph.initializer):
        halve(made)
    figures = compared(proto, made, aside)
    accuracy = _accuracy(proto, made, aside, kept)
    everything = _card(card, output, made, model) | {
        "compressed": {
            "of": file_sha256(model),
            "space": card.space,
            "method": method,
            "goal": f"{goal}={keep}",
            "operations": round(found.flops, 4),
            "images": len(used),
            "steps": steps,
            "agreement": {
                "images": len(aside),
                "median": round(figures["median"], 4),
                "least": round(figures["least"], 4),
            },
        }
    }
    if accuracy:
        everything["accuracy"] = {"held-out labels": round(accuracy["after"][0], 4)}
    for entry in made.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = json.dumps(everything, sort_keys=True)
    Card.read(json.dumps(everything), str(output))
    write_model(output, made.SerializeToString(deterministic=True))
    return Compressed(
        path=output,
        bytes=output.stat().st_size,
        bytes_before=model.stat().st_size,
        flops=found.flops,
        images=len(used),
        aside=len(aside),
        accuracy=accuracy,
        skipped=skipped,
        **figures,
    )


def _check(method: str, goal: str, keep: float) -> None:
    if "files" not in part("compressor", method).traits:
        can = ", ".join(names("compressor", trait="files"))
        raise CompressError(
            f"the compressor {method} does not remove channels of a finished model, so the file "
            f"would be neither smaller nor faster; use one of {can}"
        )
    if goal not in ("flops", "time") or not 0 < keep < 1:
        raise CompressError(
            f"{goal}={keep} is no goal; keep a share of flops or of time between 0 and 1"
        )


def _by_folder(samples: Sequence[Sample]) -> list[Sample]:
    """With the folder of each image as its label, where there are several."""
    folders = {sample.path.parent for sample in samples}
    if len(folders) < 2:
        return [replace(sample, label=None) for sample in samples]
    return [replace(sample, label=str(sample.path.parent)) for sample in samples]


def _accuracy(
    model: Any, made: Any, images: Sequence[NDArray[np.uint8]], samples: Sequence[Sample]
) -> dict[str, tuple[float, float]]:
    """Mean average precision and recall@1 of both among images with labels."""
    labels = [sample.label or "" for sample in samples]
    if len(set(labels)) < 2 or len(set(labels)) == len(labels):
        return {}
    found = {}
    for name, proto in (("before", model), ("after", made)):
        rows = vectors(open_model(proto), images)
        result = evaluate_labelled(rows, labels, rows, labels, exclude_self=True)
        found[name] = (result.mean_ap, result.recall_at[1])
    return found


def _card(card: Card, output: Path, made: Any, model: Path) -> dict[str, Any]:
    """The card of the model without what is no longer true, with a name and a space of its own."""
    digest = hashlib.sha256()
    for stored in sorted(made.graph.initializer, key=lambda each: str(each.name)):
        digest.update(stored.name.encode())
        digest.update(stored.SerializeToString(deterministic=True))
    everything = {key: value for key, value in card.everything.items() if key not in _DROPPED}
    return everything | {
        "name": output.stem,
        "version": 1,
        "space": f"{output.stem}-v1-{digest.hexdigest()[:8]}",
        "made_by": f"glocal compress, from {model.stem}",
    }
