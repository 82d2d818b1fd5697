"""Write a narrower copy of a model, with what its card says: how well it does, and on what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.card import METADATA_KEY, Card
from glocal.encoders.hashes import file_sha256
from glocal.encoders.spaces import space_of
from glocal.errors import CompressError, LearnError
from glocal.evaluate import evaluate_labelled
from glocal.learn.collection import Sample, hold_out, without_twins
from glocal.learn.compress.narrowing import narrow, prepared
from glocal.learn.compress.relearning import Relearning, earlier
from glocal.learn.export import halve, write_model
from glocal.learn.file_agreement import (
    LEAST_IMAGES,
    MOST_IMAGES,
    Agreement,
    card_of,
    compared,
    read_images,
)
from glocal.learn.quantization import open_model, vectors
from glocal.registry import names, part

SAME_SPACE = (0.995, 0.98)
"""Least cosines to the model's vectors, in the median and of the worst image kept aside, with which
a narrower model is in the same space; they are those of a twin in int8."""

PARTIAL = ".teaching"
"""What a teaching that was stopped is kept under, in place of ``.onnx``."""

_DROPPED = ("accuracy", "trained", "speaks", "precision", "same_network_as")  # of the model alone
_MOST_ASIDE = 400


@dataclass(frozen=True, slots=True)
class Compressed:
    """What was written, and how it compares with the model it is made of.

    Attributes:
        path: the file.
        bytes: its size.
        bytes_before: the model's.
        flops: share of the convolutions' operations that is left.
        images: how many taught it.
        steps: how many steps it was taught.
        aside: how many images were kept aside to compare on.
        untaught: how it agreed with the model on these before it was taught.
        taught: the same afterwards, with its time.
        same_space: whether it is in the model's space; see `SAME_SPACE`.
        accuracy: mean average precision and recall@1 of the model, of the smaller one untaught and
            taught, among images kept aside that have labels; empty if there are none.
        skipped: files that are no images, and why.
    """

    path: Path
    bytes: int
    bytes_before: int
    flops: float
    images: int
    steps: int
    aside: int
    untaught: Agreement
    taught: Agreement
    same_space: bool
    accuracy: dict[str, tuple[float, float]]
    skipped: dict[Path, str]


@dataclass(frozen=True, slots=True)
class Stopped:
    """A teaching that was stopped and can be continued.

    Attributes:
        partial: the file that it continues from.
        done: how many steps are done.
    """

    partial: Path
    done: int


def compress(
    model: Path,
    samples: Sequence[Sample],
    output: Path,
    *,
    method: str = "reconstruction",
    goal: str = "time",
    keep: float = 0.75,
    steps: int = 2000,
    seed: int = 0,
    listen: Callable[[str, int, int], None] = lambda stage, done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> Compressed | Stopped:
    """Make a smaller and faster model, or continue where this was stopped.

    Args:
        model: file of the model, a network of convolutions in single or half precision.
        samples: images such as the model will see. Labels are what accuracy is measured by on
            images kept aside, a split of validation or a tenth; nothing is learned from them.
        output: file to write. While it is taught, ``output`` with the suffix `PARTIAL` keeps what
            was reached, every minute.
        method: a compressor that removes channels.
        goal: ``flops``, operations of the convolutions, or ``time``, that of a vector here.
        keep: share to keep, in (0, 1).
        steps: of teaching by the model itself, in all. A teaching that was stopped can be
            continued with another number; with one that is reached, the file is written at once.
        seed: of which images are used for what, and of the teaching.
        listen: is told the stage, and how much of it is done.
        stop: called after every step of the teaching; when it returns True, the teaching stops.

    Raises:
        CompressError: the method or the goal makes no sense, or the goal cannot be reached.
        LearnError: the model cannot be compressed, there are too few images, or another teaching
            was stopped there.
        ModelError: there is no such model, or it cannot be run.
        MissingExtraError: a package is not installed.
        DiskFullError: a file cannot be written.
    """
    import onnx

    _check(method, goal, keep)
    if output.exists():
        raise LearnError(f"there is {output} already; name another file, or remove it")
    card = card_of(model, "compressed")
    sha256 = file_sha256(model)
    partial = output.with_suffix(PARTIAL)
    known = [f"{sample.path}\t{sample.label}\t{sample.split}" for sample in samples]
    settings = {
        "model": sha256,
        "images": hashlib.sha256("\n".join(known).encode()).hexdigest(),
        "method": method,
        "goal": f"{goal}={keep}",
        "seed": seed,
    }
    proto = onnx.load(str(model))
    begun = earlier(partial, prepared(proto)[0], settings)  # before anything that takes long
    used, aside, kept, skipped = _read(samples, card, seed, listen)
    found = begun[0] if begun else None
    if found is None:
        found = narrow(proto, used, method=method, goal=goal, keep=keep, listen=listen)
    relearning = Relearning(found, used, seed=seed)
    if begun:
        relearning.restore(begun[1], partial)
    if steps:
        ended = relearning.run(
            steps,
            save=lambda: relearning.save(partial, settings),
            stop=stop,
            listen=lambda step, loss: listen("teaching", step, steps),
        )
        if not ended:
            return Stopped(partial, relearning.done)
    made = relearning.model()
    in_half = any(s.data_type == onnx.TensorProto.FLOAT16 for s in proto.graph.initializer)
    if in_half:
        halve(made)
    listen("comparing", 0, 1)
    untaught, taught = (compared(proto, each, aside) for each in (found.model, made))
    protos = {"the model": proto, "smaller, untaught": found.model, "smaller": made}
    accuracy = _accuracy(protos, aside, kept)
    listen("comparing", 1, 1)
    same = taught.median >= SAME_SPACE[0] and taught.least >= SAME_SPACE[1]
    everything = _card(card, output, made, space_of(card, sha256) if same else None) | {
        "made_by": f"glocal compress, from {card.name}",
        "compressed": {
            "of": sha256,
            "space": space_of(card, sha256),
            "method": method,
            "goal": settings["goal"],
            "operations": round(found.flops, 4),
            "images": len(used),
            "steps": relearning.done,
            "agreement": {
                "images": len(aside),
                "median": round(taught.median, 4),
                "least": round(taught.least, 4),
                "untaught": round(untaught.median, 4),
            },
        },
    }
    if accuracy:
        everything["accuracy"] = {"held-out labels": round(accuracy["smaller"][0], 4)}
    for entry in made.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = json.dumps(everything, sort_keys=True)
    Card.read(json.dumps(everything), str(output))
    write_model(output, made.SerializeToString(deterministic=True))
    partial.unlink(missing_ok=True)
    return Compressed(
        path=output,
        bytes=output.stat().st_size,
        bytes_before=model.stat().st_size,
        flops=found.flops,
        images=len(used),
        steps=relearning.done,
        aside=len(aside),
        untaught=untaught,
        taught=taught,
        same_space=same,
        accuracy=accuracy,
        skipped=skipped,
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


def _read(
    samples: Sequence[Sample], card: Card, seed: int, listen: Callable[[str, int, int], None]
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]], list[Sample], dict[Path, str]]:
    """Images to teach with and those kept aside, the samples of these, and what cannot be read."""
    divided = hold_out(without_twins(samples), seed)
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
    return used, [read[sample.path] for sample in kept], kept, skipped


def _accuracy(
    protos: dict[str, Any], images: Sequence[NDArray[np.uint8]], samples: Sequence[Sample]
) -> dict[str, tuple[float, float]]:
    """Mean average precision and recall@1 of models among images with labels."""
    # An image without a label has one of its own: it is there to be found wrongly.
    labels = [sample.label or f"none {n}" for n, sample in enumerate(samples)]
    if len(set(labels)) < 2 or len(set(labels)) == len(labels):
        return {}
    found = {}
    for name, proto in protos.items():
        rows = vectors(open_model(proto), images)
        result = evaluate_labelled(rows, labels, rows, labels, exclude_self=True)
        found[name] = (result.mean_ap, result.recall_at[1])
    return found


def _card(card: Card, output: Path, made: Any, space: str | None) -> dict[str, Any]:
    """The card of the model without what is no longer true, with a name and a space of its own."""
    digest = hashlib.sha256()
    for stored in sorted(made.graph.initializer, key=lambda each: str(each.name)):
        digest.update(stored.name.encode())
        digest.update(stored.SerializeToString(deterministic=True))
    everything = {key: value for key, value in card.everything.items() if key not in _DROPPED}
    return everything | {
        "name": output.stem,
        "version": 1,
        "sources": [*card.everything.get("sources", []), f"{card.name} v{card.version}"],
        "space": space or f"{output.stem}-v1-{digest.hexdigest()[:8]}",
    }
