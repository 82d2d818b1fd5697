"""Make a model of `glocal train` smaller, and train it back with the model itself as the teacher.

Channels are removed inside the backbone; its feature maps keep their widths, so that head and local
features fit as they are. The teacher's maps and vectors of the user's photos are what the smaller
backbone learns: labels are used to measure, if there are any, not to learn.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import CompressError, LearnError
from glocal.learn import checkpoint
from glocal.learn.augment import Augmentation
from glocal.learn.cache import ImageCache
from glocal.learn.collection import (
    Sample,
    hold_out,
    read_labelled,
    read_unlabelled,
    without_twins,
)
from glocal.learn.compress.compressor import Evidence, make_compressor
from glocal.learn.evaluator import Evaluator
from glocal.learn.graft import graft
from glocal.learn.model import Model, build_model
from glocal.learn.part_options import options_of
from glocal.learn.settings import Settings
from glocal.learn.training import Listener, Trained
from glocal.registry import names, part

_PLANNED_ON = 16  # images on which losses are measured while planning
_OFFSET = 0.1  # nothing is lost before anything is removed: a tolerance is in parts of this
_BATCH = 16
_HIGHEST_RATE, _WARM_UP, _LOWEST = 1e-3, 0.05, 0.02
_MOMENTUM = 0.1  # of running statistics while learning back; EfficientNet-Lite's own is .01
_MOST_COPIED = 400


@dataclass(frozen=True, slots=True)
class Slimmed:
    """A model and the smaller one made of it, as `glocal.learn.delivery.deliver` takes them.

    Attributes:
        teacher: the model as it was.
        student: the smaller one.
        settings: those of the teacher's training.
        kept: share of the backbone's operations that is left.
        agreement: mean cosine of both models' vectors on photos they were not fitted to; NaN if
            none were held out.
    """

    teacher: Trained
    student: Trained
    settings: Settings
    kept: float
    agreement: float


def slim(
    trained: Path,
    photos: Path,
    *,
    method: str,
    keep: float,
    minutes: float,
    work: Path,
    listener: Listener,
) -> Slimmed:
    """Remove channels of a trained model, and teach what is left.

    Args:
        trained: checkpoint that `glocal train` wrote, such as ``MODEL.run/best.pt``.
        photos: photos to learn on: a folder with a folder for each label, a table, or any photos.
        method: a compressor that removes channels.
        keep: share of the backbone's operations to keep, in (0, 1).
        minutes: how long to teach.
        work: folder of the small copies of the photos.
        listener: reports progress.

    Raises:
        CompressError: the method or the checkpoint cannot be used, or the goal not be reached.
        LearnError: there are no photos, or too few.
        MissingExtraError: a package is not installed.
    """
    check_method(method)
    teacher, settings, step = read_model(trained)
    samples = _collected(photos, settings)
    side = max(round(settings.input_side * 0.9), round(settings.side * 1.5))
    cache = ImageCache(work, side=side)
    unfit = cache.fill([s.path for s in samples], workers=2, progress=listener.copying)
    if unfit:
        listener.skipping(unfit)
        samples = [sample for sample in samples if sample.path not in unfit]
    learned = [sample for sample in samples if sample.split == "train"]
    if len(learned) < _BATCH:
        raise LearnError(
            f"{len(learned)} photos are too few to teach a smaller model; use {_BATCH} or more"
        )
    listener.beginning(samples, 0.0)
    view = Augmentation(side=settings.side, strength=settings.strength / 2, mirror=settings.mirror)
    random = np.random.default_rng(settings.seed)

    def batch(count: int) -> Tensor:
        chosen = random.choice(len(learned), min(count, len(learned)), replace=False)
        views = np.stack([view(cache.read(learned[n].path), random) for n in chosen])
        return torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255

    images = batch(_PLANNED_ON)
    plan = make_compressor(method).plan(teacher.backbone, keep, _evidence(teacher, images))
    student = copy.deepcopy(teacher)
    student.backbone = plan.apply(teacher.backbone)
    _teach(student, teacher, batch, minutes, listener)
    evaluate = _evaluator(samples, cache, view, settings.seed)

    def result(model: Model) -> Trained:
        return Trained(model, step, True, evaluate, samples, cache)

    held = [sample for sample in samples if sample.split == "validation"][:_PLANNED_ON]
    return Slimmed(
        result(teacher), result(student), settings, plan.kept,
        _agreement(teacher, student, [cache.read(sample.path) for sample in held], settings.side),
    )  # fmt: skip


def check_method(name: str) -> None:
    """Check that a compressor makes networks smaller, not only sparse.

    Raises:
        CompressError: it does not.
        PartError: there is none of that name.
    """
    if "channels" not in part("compressor", name).traits:
        can = ", ".join(names("compressor", trait="channels"))
        raise CompressError(
            f"the compressor {name} leaves the network's shapes as they are, so the file would be "
            f"neither smaller nor faster; use {can}"
        )


def read_model(path: Path) -> tuple[Model, Settings, int]:
    """The model of a checkpoint in evaluation mode, its training's settings, and its step.

    Raises:
        CompressError: it is an ONNX file, or has weights that depend on the number of classes.
        LearnError: it is no checkpoint.
    """
    if path.suffix == ".onnx":
        raise CompressError(
            f"{path.name} is a finished model, whose layers cannot be taught any more; name the "
            f"checkpoint of its training, such as {path.stem}.run/best.pt"
        )
    state = checkpoint.load(path)
    known = {field.name for field in fields(Settings)}
    settings = Settings(**{key: value for key, value in state["settings"].items() if key in known})
    if part("head", settings.head).load().learns_classes:
        raise CompressError(
            f"the head {settings.head} has weights for each class, which are not supported here; "
            "train with another head"
        )
    model = build_model(
        backbone=settings.backbone,
        head=settings.head,
        dim=settings.dim,
        weights="none",
        head_options=options_of(settings.options, "head"),
    )
    if settings.block is not None:
        block = part("block", settings.block).load()
        model.backbone = graft(model.backbone, block.role, block)
    checkpoint.load_model(model, state, str(path))
    return model.eval(), settings, int(state.get("step", 0))


def _collected(photos: Path, settings: Settings) -> Sequence[Sample]:
    """The photos; folders are labels only where the model itself was trained with labels."""
    try:
        found = read_labelled(photos) if settings.labelled else read_unlabelled(photos, 0)
    except LearnError:
        found = read_unlabelled(photos, 0)
    return hold_out(without_twins(found), settings.seed)


def _evidence(teacher: Model, images: Tensor) -> Evidence:
    """How far a backbone's vectors and maps are from the teacher's: two losses."""
    with torch.no_grad():
        maps = teacher.backbone(images)
        vectors = teacher.output(images, maps).vector

    @torch.no_grad()
    def losses(backbone: nn.Module) -> list[float]:
        found = backbone(images)
        head = copy.copy(teacher)  # shares all but the backbone
        head._modules = {**teacher._modules, "backbone": backbone}
        output = head.output(images, found)
        return [
            _OFFSET + float((1 - (output.vector * vectors).sum(dim=1)).mean()),
            _OFFSET + float(_apart(found[-1], maps[-1])),
        ]

    return Evidence(images, losses)


def _apart(maps: Tensor, wanted: Tensor) -> Tensor:
    """Mean of one less the cosine of each cell's features."""
    return (1 - functional.cosine_similarity(maps, wanted, dim=1, eps=1e-6)).mean()


def _teach(
    student: Model,
    teacher: Model,
    batch: Callable[[int], Tensor],
    minutes: float,
    listener: Listener,
) -> None:
    """Teach the student's backbone for so many minutes; in evaluation mode afterwards."""
    backbone = student.backbone.train()
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = _MOMENTUM
    optimizer = torch.optim.AdamW(backbone.parameters(), lr=_HIGHEST_RATE, weight_decay=0.01)
    started, done = time.monotonic(), 0.0
    while done < 1:
        images = batch(_BATCH)
        with torch.no_grad():
            wanted = teacher.backbone(images)
            vectors = teacher.output(images, wanted).vector
        maps = backbone(images)
        vector = student.output(images, maps).vector
        loss = (1 - (vector * vectors).sum(dim=1)).mean()
        loss = loss + torch.stack([_apart(*pair) for pair in zip(maps, wanted, strict=True)]).mean()
        falling = _LOWEST + (1 - _LOWEST) * (1 + math.cos(math.pi * done)) / 2
        for group in optimizer.param_groups:
            group["lr"] = _HIGHEST_RATE * min(1.0, (done + 1e-3) / _WARM_UP) * falling
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        done = min(1.0, (time.monotonic() - started) / 60 / minutes)
        listener.learning(done, {"loss": loss.item()})
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    student.eval()


def _evaluator(
    samples: Sequence[Sample], cache: ImageCache, view: Augmentation, seed: int
) -> Evaluator:
    held = [n for n, sample in enumerate(samples) if sample.split == "validation"]
    known = [n for n in held if samples[n].label is not None]
    codes = {label: code for code, label in enumerate(sorted({str(s.label) for s in samples}))}
    return Evaluator(
        lambda number: cache.read(samples[number].path),
        labelled=known,
        labels=[codes[str(samples[n].label)] for n in known],
        copied=[] if known else held[:_MOST_COPIED],
        alter=view,
        seed=seed,
    )


@torch.no_grad()
def _agreement(
    teacher: Model, student: Model, images: Sequence[NDArray[np.uint8]], side: int
) -> float:
    if not images:
        return math.nan
    plain = Augmentation(side=side, strength=0)
    views = np.stack([plain(image, np.random.default_rng(0)) for image in images])
    pixels = torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255
    return float((teacher(pixels).vector * student(pixels).vector).sum(dim=1).mean())
