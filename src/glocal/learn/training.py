"""Train a model from images: what `glocal train` does before it exports the model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.errors import LearnError
from glocal.learn import checkpoint
from glocal.learn.augment import Augmentation
from glocal.learn.batches import Plan, Slot
from glocal.learn.cache import ImageCache, require_space
from glocal.learn.collection import (
    Sample,
    check_labels,
    hold_out,
    read_labelled,
    read_unlabelled,
    without_twins,
)
from glocal.learn.device import choose_device, choose_precision
from glocal.learn.evaluator import Evaluation, Evaluator
from glocal.learn.finishing import check_parts, check_whitening, choose_fitting
from glocal.learn.graft import graft
from glocal.learn.learning import Learning, MakeOptimizer
from glocal.learn.loop import BEST, Loop
from glocal.learn.model import Model, build_model, build_objective
from glocal.learn.old_model import OldModel
from glocal.learn.part_options import options_of
from glocal.learn.recipes.recipe import Recipe
from glocal.learn.settings import COMPATIBLE, INSTANCE, Settings
from glocal.registry import part

_CHECKPOINT_BYTES = 400_000_000  # three checkpoints of the largest model, and one in writing

_MOST_COPIED = 400  # held-out images that altered copies are searched among


class Listener(Protocol):
    """Reports the progress of a training; any method may do nothing."""

    def copying(self, done: int, total: int) -> None:
        """Called when more images are decoded."""

    def skipping(self, unfit: dict[Path, str]) -> None:
        """Called with the images that cannot be used, and the reasons."""

    def beginning(self, samples: Sequence[Sample], done: float) -> None:
        """Called when training with these images starts or resumes."""

    def learning(self, done: float, figures: dict[str, float]) -> None:
        """Called after a step, with the part that is done and the figures of the step."""


@dataclass(frozen=True, slots=True)
class Trained:
    """Result of a training.

    Attributes:
        model: the moving average at its best evaluation, in evaluation mode.
        step: the step it was taken at.
        finished: False if the training was stopped before its end.
        evaluate: measures retrieval on the held-out images, or what `train` was given.
        samples: all images, with the split that each belongs to.
        cache: small copies of the images.
        classes: names of the labels in the order of their numbers.
        speaks: spaces that the model's vectors stay comparable with.
    """

    model: Model
    step: int
    finished: bool
    evaluate: Evaluation
    samples: Sequence[Sample]
    cache: ImageCache
    classes: tuple[str, ...] = ()
    speaks: tuple[str, ...] = ()


def collect(data: Path, also: Iterable[Path], settings: Settings) -> list[Sample]:
    """Collect the images of a training, and hold some out for evaluation.

    Args:
        data: labelled images, or any images if the objective is ``instance``.
        also: folders of images without labels.
        settings: the training's settings.

    Raises:
        LearnError: there are no images, or nothing can be learned from the labels.
    """
    own = read_labelled(data) if settings.labelled else read_unlabelled(data, 0)
    more = [
        sample
        for source, folder in enumerate(also, start=1)
        for sample in read_unlabelled(folder, source)
    ]
    samples = hold_out(without_twins([*own, *more]), settings.seed)
    if settings.labelled:
        check_labels(samples)
    return samples


def train(
    data: Path,
    settings: Settings,
    *,
    run: Path,
    listener: Listener,
    also: Sequence[Path] = (),
    overlays: Sequence[Path] = (),
    cache: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    optimizer: MakeOptimizer = torch.optim.AdamW,
    evaluate: Evaluation | None = None,
) -> Trained:
    """Train a model, or resume its training from the last checkpoint.

    Args:
        data: labelled images, or any images if the objective is ``instance``.
        settings: the training's settings.
        run: folder of checkpoints, curves and copies of images; created if it does not exist.
        listener: reports progress.
        also: folders of images without labels, for self-supervised learning.
        overlays: folders of images that augmentation pastes over others.
        cache: folder of the copies of images, to share them between trainings.
        stop: called after every step; training stops when it returns True.
        optimizer: makes the optimizer; a resumed training needs the same.
        evaluate: measures the model during the training; None for retrieval on images held out.

    Raises:
        LearnError: settings or data cannot work; the text says which.
        ModelError: weights cannot be read.
        DiskFullError: there is no room for copies and checkpoints.
        MissingExtraError: a part needs a package that is not installed.
    """
    settings.check_sense()
    check_parts(settings)
    settings = settings.with_options_read()
    if also and not settings.self_weight:
        raise LearnError(
            "--also gives images to learn from without labels, but --self-weight is 0; raise it, "
            "or leave --also out"
        )
    if settings.cutmix and not also and settings.labelled:
        raise LearnError(
            "--cutmix mixes views of images without labels, but there are none; add some with "
            "--also, or use --objective instance"
        )
    device = choose_device(settings.device)
    samples = collect(data, also, settings)
    laid_over = [s.path for folder in overlays for s in read_unlabelled(folder, 0)]
    _check_enough(samples, settings)
    old = OldModel(Path(settings.compatible_with)) if settings.compatible_with else None
    names = _in_order({sample.label for sample in samples if sample.label is not None}, old)
    learning = _build(settings, len(names) if settings.labelled else 0, bool(also), device, old)
    run.mkdir(parents=True, exist_ok=True)
    require_space(run, _CHECKPOINT_BYTES)
    copies = ImageCache(cache or run / "images", side=_copy_side(settings))
    unfit = copies.fill(
        [sample.path for sample in samples], workers=settings.workers, progress=listener.copying
    )
    if unfit:
        listener.skipping(unfit)
        samples = [sample for sample in samples if sample.path not in unfit]
    _check_enough(samples, settings)
    if settings.labelled:
        check_labels(samples)
    if settings.final == "whitening":
        check_whitening(learning.model, choose_fitting(samples, settings.dim, settings.seed))
    codes = {label: code for code, label in enumerate(names)}
    loop = _loop(
        learning,
        settings,
        samples,
        codes,
        copies,
        run,
        laid_over,
        optimizer=optimizer,
        evaluate=evaluate,
    )
    listener.beginning(samples, loop.done)
    finished = loop.run(listener.learning, stop)
    model: Model = copy.deepcopy(loop.averaged_model)
    step = loop.progress.step
    if loop.evaluate.has_images and (run / BEST).exists():
        best = checkpoint.load(run / BEST)
        checkpoint.load_model(model, best, str(run / BEST))
        step = best["step"]
    learning.recipe.finish(model)
    return Trained(
        model.cpu(),
        step,
        finished,
        loop.evaluate,
        samples,
        copies,
        classes=tuple(names),
        speaks=old.spaces if old else (),
    )


def _in_order(labels: set[str], old: OldModel | None) -> list[str]:
    """Names of the labels by their numbers: those that the old model knows keep theirs."""
    known = old.classes if old else ()
    return [*known, *sorted(labels.difference(known))]


def _check_enough(samples: Sequence[Sample], settings: Settings) -> None:
    count = sum(sample.split == "train" for sample in samples)
    if count < settings.batch:
        raise LearnError(
            f"{count} images can be learned from, fewer than one --batch of "
            f"{settings.batch}; add images or use a smaller --batch"
        )


def _build(
    settings: Settings, classes: int, also: bool, device: torch.device, old: OldModel | None
) -> Learning:
    torch.manual_seed(settings.seed)
    model = build_model(
        backbone=settings.backbone,
        head=settings.head,
        dim=settings.dim,
        classes=classes,
        weights=settings.weights,
        head_options=options_of(settings.options, "head"),
    )
    if settings.block is not None:
        block = part("block", settings.block).load()
        model.backbone = graft(model.backbone, block.role, block)
    if settings.start is not None:
        checkpoint.load_model(model, checkpoint.load(Path(settings.start)), settings.start)
    model.backbone.freeze(settings.freeze)
    # Local features do not learn by gradient: `finishing` fits them.
    model.cells.requires_grad_(False)
    made: type[Recipe] = part("recipe", settings.recipe).load()
    tied = COMPATIBLE in part("recipe", settings.recipe).traits
    if old is not None and not tied and old.dim != model.dim:
        raise LearnError(
            f"the old model's vectors have {old.dim} numbers, the new one's {model.dim}; use "
            f"--dim {old.dim}"
        )
    objective = instance = None
    if settings.labelled:
        objective = build_objective(
            settings.objective,
            dim=model.dim,
            classes=classes,
            **options_of(settings.options, "objective"),
        )
    if also or not settings.labelled or made.views:
        instance = build_objective(
            INSTANCE,
            dim=model.dim,
            classes=0,
            temperature=settings.temperature,
            entropy=settings.entropy,
        )
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    recipe = made(
        model,
        objective=objective,
        instance=instance,
        self_weight=settings.self_weight,
        **({"old": old} if tied else {}),
        **options_of(settings.options, "recipe"),
    )
    precision = choose_precision(settings.precision, device)
    return Learning(model, recipe.to(device), device, precision)


def _loop(
    learning: Learning,
    settings: Settings,
    samples: Sequence[Sample],
    codes: dict[str, int],
    copies: ImageCache,
    run: Path,
    overlays: Sequence[Path],
    *,
    optimizer: MakeOptimizer,
    evaluate: Evaluation | None,
) -> Loop:
    numbers = [n for n, sample in enumerate(samples) if sample.split == "train"]
    labels = np.array([codes.get(samples[n].label or "", -1) for n in numbers], np.int64)
    strong = Augmentation(
        side=settings.side, strength=settings.strength, mirror=settings.mirror, overlays=overlays
    )
    mild = Augmentation(side=settings.side, strength=settings.strength / 2, mirror=settings.mirror)

    def load(slot: Slot, random: np.random.Generator) -> NDArray[np.uint8]:
        image = copies.read(samples[numbers[slot.image]].path)
        return (strong if slot.view else mild)(image, random)

    held = [n for n, sample in enumerate(samples) if sample.split == "validation"]
    known = [n for n in held if settings.labelled and samples[n].label is not None]
    evaluate = evaluate or Evaluator(
        lambda number: copies.read(samples[number].path),
        labelled=known,
        labels=[codes[str(samples[n].label)] for n in known],
        copied=_spread(held) if learning.recipe.instance is not None else [],
        alter=strong,
        seed=settings.seed,
    )
    plan = Plan(
        labels,
        labelled=settings.batch if settings.labelled else 0,
        viewed=_viewed(settings, learning),
        seed=settings.seed,
    )
    return Loop(learning, settings, plan, load, evaluate, run, optimizer)


def _spread(numbers: list[int]) -> list[int]:
    """At most 400 of the numbers, evenly spread over the list."""
    return numbers[:: -(-len(numbers) // _MOST_COPIED)] if numbers else []


def _viewed(settings: Settings, learning: Learning) -> int:
    if learning.recipe.instance is None:
        return 0
    return settings.views if settings.labelled else settings.batch


def _copy_side(settings: Settings) -> int:
    """Side of the copies: enough for the finished model's input at 3:4, and for crops."""
    return max(round(settings.input_side * 0.9), round(settings.side * 1.5))
