"""Train stitches between two trained models, so that all routes speak the large one's space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn import checkpoint
from glocal.learn.augment import Augmentation
from glocal.learn.batches import Batch, Plan, Slot
from glocal.learn.cache import ImageCache, require_space
from glocal.learn.collection import Sample, hold_out, read_unlabelled, without_twins
from glocal.learn.device import choose_device, choose_precision
from glocal.learn.evaluator import Evaluator, model_images
from glocal.learn.finishing import choose_fitting, fit_final, place_keypoints
from glocal.learn.graft import graft
from glocal.learn.learning import Learning
from glocal.learn.loop import BEST, LAST, Loop
from glocal.learn.model import Model, build_model
from glocal.learn.part_options import options_of
from glocal.learn.recipes.recipe import Recipe
from glocal.learn.settings import INSTANCE, Settings
from glocal.learn.stitching import Stitched
from glocal.learn.training import Listener
from glocal.registry import part

_FITTED = 512  # photos that stitches and the projection are fitted to before the training
_TOGETHER = 32
_COMPARED = 100  # held-out photos that routes are compared on
_CPU = torch.device("cpu")
_CHECKPOINT_BYTES = 400_000_000


@dataclass(frozen=True, slots=True)
class StitchedPair:
    """What a training of stitches gives.

    Attributes:
        joined: the network, in evaluation mode.
        settings: of the training.
        large: settings that the large encoder was trained with.
        small: settings that the small encoder was trained with.
        step: number of steps.
        finished: False if the training was stopped before its end.
        agreement: for each route the mean cosine of its vectors with the large encoder's, on
            photos held out, where there are ten or more.
        samples: the photos, with the split that each belongs to.
        cache: small copies of the photos.
    """

    joined: Stitched
    settings: Settings
    small: dict[str, Any]
    large: dict[str, Any]
    step: int
    finished: bool
    agreement: tuple[float, ...]
    samples: Sequence[Sample]
    cache: ImageCache


def read_model(run: Path) -> tuple[Model, dict[str, Any]]:
    """Read a model that `glocal train` has trained, and its settings.

    Args:
        run: the folder of the training (``MODEL.run``), or a checkpoint in it.

    Raises:
        LearnError: there is no checkpoint, it is damaged, or its head learned classes.
        MissingExtraError: a part of the model needs a package that is not installed.
    """
    path = run
    if run.is_dir():
        path = next((run / name for name in (BEST, LAST) if (run / name).is_file()), run / BEST)
    state = checkpoint.load(path)
    stored = state["settings"]
    try:
        if part("head", stored["head"]).load().learns_classes:
            raise LearnError(
                f"the head {stored['head']} of {path} learned classes, and its encoder cannot be "
                "stitched; use a model with a head such as gem"
            )
        model = build_model(
            backbone=stored["backbone"],
            head=stored["head"],
            dim=stored["dim"],
            weights="none",
            head_options=options_of(stored.get("options", {}), "head"),
        )
        if stored.get("block") is not None:
            block = part("block", stored["block"]).load()
            model.backbone = graft(model.backbone, block.role, block)
    except (KeyError, TypeError) as error:
        raise LearnError(
            f"the settings in {path} are incomplete ({error!r}); train the model again"
        ) from error
    weights = state if path.name != LAST else state | {"model": state["average"]}
    checkpoint.load_model(model, weights, str(path))
    return model.eval(), dict(stored)


def train_stitches(
    small: Path,
    large: Path,
    data: Path,
    settings: Settings,
    *,
    run: Path,
    listener: Listener,
    cache: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> StitchedPair:
    """Stitch two trained models and train the routes between them, or resume that.

    Nothing of the large one changes, so that its vectors stay as they are.

    Args:
        small: folder of the training of the fast model.
        large: of the accurate one.
        data: folder of photos; their labels do not matter.
        settings: how long and how to train; what they say about parts is not used.
        run: folder of checkpoints, curves and copies of images.
        listener: reports progress.
        cache: folder of the copies of images, to share them between trainings.
        stop: called after every step; training stops when it returns True.

    Raises:
        LearnError: the models do not fit together, or the photos are too few.
        DiskFullError: there is no room for copies and checkpoints.
        MissingExtraError: a part needs a package that is not installed.
    """
    (one, small_settings), (two, large_settings) = read_model(small), read_model(large)
    settings = replace(
        settings, objective=INSTANCE, start=f"{small} and {large}", dim=two.dim, final="projection"
    )
    settings.check_sense()
    joined = Stitched(one, two)
    device = choose_device(settings.device)
    samples = hold_out(without_twins(read_unlabelled(data, 0)), settings.seed)
    run.mkdir(parents=True, exist_ok=True)
    require_space(run, _CHECKPOINT_BYTES)
    side = max(round(settings.input_side * 0.9), round(settings.side * 1.5))
    copies = ImageCache(cache or run / "images", side=side)
    unfit = copies.fill(
        [sample.path for sample in samples], workers=settings.workers, progress=listener.copying
    )
    if unfit:
        listener.skipping(unfit)
        samples = [sample for sample in samples if sample.path not in unfit]
    learned = [sample.path for sample in samples if sample.split == "train"]
    if len(learned) < settings.batch:
        raise LearnError(
            f"{len(learned)} photos can be learned from, fewer than one --batch of "
            f"{settings.batch}; add photos or use a smaller --batch"
        )

    def read(sample: Sample) -> NDArray[np.uint8]:
        return copies.read(sample.path)

    fitted = choose_fitting(samples, two.dim, settings.seed)[: max(_FITTED, 2 * two.dim)]
    began = (run / LAST).is_file()
    if not began:
        whiten = large_settings.get("final") == "whitening"
        fit_final(two, fitted, read, side=settings.input_side, whiten=whiten)
        joined.fit(_batches(map(read, fitted[:_FITTED]), settings.side))
    place_keypoints(two, fitted, read)  # which no checkpoint has
    loop = _loop(joined, settings, learned, copies, run, device)
    listener.beginning(samples, loop.done)
    finished = loop.run(listener.learning, stop)
    made = cast(Stitched, loop.averaged_model if loop.progress.step else joined).cpu().eval()
    held = [s for s in samples if s.split == "validation"] or samples
    compared = [read(sample) for sample in held[:: -(-len(held) // _COMPARED)]]
    agreement = agreements(made, compared, settings.input_side) if finished else ()
    return StitchedPair(
        made, settings, small_settings, large_settings, loop.progress.step, finished, agreement,
        samples, copies,
    )  # fmt: skip


@torch.no_grad()
def agreements(
    joined: Stitched, images: Sequence[NDArray[np.uint8]], side: int
) -> tuple[float, ...]:
    """For each route the mean cosine of its vectors with those of the large encoder.

    Args:
        joined: the network, in evaluation mode.
        images: ``(h, w, 3)`` uint8 each.
        side: side of the finished model's input, in pixels.
    """
    vectors = [
        torch.cat([joined(image, route) for image in model_images(images, side, _CPU)])
        for route in range(joined.routes)
    ]
    return tuple(float((own * vectors[-1]).sum(dim=1).mean()) for own in vectors)


class _Routes(Recipe):
    """Each step goes one random route, towards the large encoder's vector of the same view."""

    def step(self, learning: Learning, batch: Batch) -> dict[str, float]:
        joined = cast(Stitched, learning.model)
        pixels, _, _ = learning.tensors(batch)
        last = joined.routes - 1
        route = int(torch.randint(last, ()))  # the last is the target itself
        with learning.fast:
            with torch.no_grad():
                target = functional.normalize(joined(pixels, last), dim=1)
            loss = joined.loss(pixels, route, target)
        return learning.descend({f"loss {joined.names()[route]}": loss})


def _loop(
    joined: Stitched,
    settings: Settings,
    paths: Sequence[Path],
    copies: ImageCache,
    run: Path,
    device: torch.device,
) -> Loop:
    torch.manual_seed(settings.seed)
    joined.large.backbone.freeze(len(joined.large.backbone.stages))
    joined.large.requires_grad_(False)
    joined.small.cells.requires_grad_(False)
    model = cast(Model, joined.to(device, memory_format=torch.channels_last))  # type: ignore[call-overload]
    view = Augmentation(side=settings.side, strength=settings.strength, mirror=settings.mirror)

    def load(slot: Slot, random: np.random.Generator) -> NDArray[np.uint8]:
        return view(copies.read(paths[slot.image]), random)

    return Loop(
        Learning(
            model,
            _Routes(model, objective=None, instance=None),
            device,
            choose_precision(settings.precision, device),
        ),
        settings,
        Plan(np.zeros(len(paths), np.int64), labelled=settings.batch, viewed=0, seed=settings.seed),
        load,
        Evaluator(
            lambda number: copies.read(paths[number]),
            labelled=[],
            labels=[],
            copied=[],
            alter=view,
            seed=settings.seed,
        ),
        run,
    )


def _batches(images: Iterable[NDArray[np.uint8]], side: int) -> Iterator[Tensor]:
    """Squares of the images, some at a time."""
    plain = Augmentation(side=side, strength=0)
    random = np.random.default_rng(0)
    waiting: list[NDArray[np.uint8]] = []
    for image in images:
        waiting.append(plain(image, random))
        if len(waiting) == _TOGETHER:
            yield _pixels(waiting)
            waiting = []
    if waiting:
        yield _pixels(waiting)


def _pixels(images: Sequence[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
