"""Train a larger trunk on the CPU, in the space of a model that is there.

    python scripts/default_model/train_larger.py PACK TEACHER.onnx OUT.pt [--trunk lite2]
        [--minutes 100]

PACK is what `pack.py` wrote. The trunk starts from its ImageNet weights, with the first third
frozen, and its vectors from the teacher's: a linear map from its GeM features, fitted to them.
Then it learns to find each image, product and spot of a rendered walk among *all* of them by an
altered view. What a view is compared with are vectors that are kept of every image, the teacher's
at first, which move towards what the student makes of an image whenever it is seen (a memory bank;
Wu et al., CVPR 2018); so that there are as many negatives as images, and no step encodes an image
twice. A second term keeps views that are hardly altered near the teacher's vectors, and a third one
holds the similarities of a batch to those that ImageNet's features find (`train.Retained`).

Weights of 1x1 convolutions are multiplied in bfloat16, for which newer processors have
instructions.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pack import read
from torch import Tensor, nn
from torch.nn import functional
from train import VIEWS, Bank, Places, as_filmed, half_whitening
from views import MILD, STRONG
from walks import Cameras, cameras_of, render

from glocal.encoders import OnnxEncoder
from glocal.learn.backbones import efficientnet_lite
from glocal.learn.export import fold_norms
from glocal.learn.heads.gem import Gem
from glocal.learn.heads.whitening import Whitening

TRUNKS = {
    "lite0": efficientnet_lite.EfficientNetLite0,
    "lite1": efficientnet_lite.EfficientNetLite1,
    "lite2": efficientnet_lite.EfficientNetLite2,
}
FRAME = (192, 144)
AREA = 320 * 320


class Rounded(nn.Module):
    """A 1x1 convolution whose factors are rounded to bfloat16; its weights are not."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias

    def forward(self, image: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.bfloat16()
        return functional.conv2d(image.bfloat16(), self.weight.bfloat16(), bias).float()


def rounded(module: nn.Module) -> None:
    """Put `Rounded` in the place of every 1x1 convolution."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d) and child.kernel_size == (1, 1):
            setattr(module, name, Rounded(child))
        else:
            rounded(child)


class Student(nn.Module):
    """A trunk whose norms are folded and whose first stage stays, and its vector."""

    def __init__(self, trunk: str, dim: int) -> None:
        super().__init__()
        self.trunk = TRUNKS[trunk](weights="imagenet").eval()
        fold_norms(self.trunk)
        self.trunk.stages[0].requires_grad_(False)
        self.head = Gem(self.trunk.levels, learn_power=False)
        self.whitening = Whitening(self.trunk.levels[-1].width, dim)
        rounded(self.trunk)

    def lower(self, images: Tensor) -> Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            found: Tensor = self.trunk.stages[0](self.trunk.normalise(images))
        return found

    def pooled(self, low: Tensor) -> Tensor:
        top = self.trunk.stages[2](self.trunk.stages[1](low))
        return functional.normalize(self.head.pool(top), dim=-1)

    def vectors(self, pooled: Tensor) -> Tensor:
        found: Tensor = self.whitening(pooled)
        return found


class Retained:
    """How similar images are to ImageNet's features, half-whitened."""

    def __init__(self, student: Student, pooled: Tensor) -> None:
        self.frozen = copy.deepcopy(student.trunk.stages[1:]).requires_grad_(False)
        self.pool = student.head.pool
        self.mean, self.matrix = half_whitening(pooled)

    def white(self, pooled: Tensor) -> Tensor:
        return functional.normalize((pooled - self.mean) @ self.matrix, dim=-1)

    def loss(self, low: Tensor, vectors: Tensor) -> Tensor:
        with torch.no_grad():
            top = self.frozen[1](self.frozen[0](low))
            old = self.white(functional.normalize(self.pool(top), dim=-1))
        itself = torch.eye(len(old), dtype=torch.bool)
        known = ((old @ old.T) / 0.1).masked_fill(itself, -1e4).softmax(dim=1)
        found = ((vectors @ vectors.T) / 0.1).masked_fill(itself, -1e4).log_softmax(dim=1)
        return functional.kl_div(found, known, reduction="batchmean")


@torch.no_grad()
def rendered(places: Places, frames: int) -> tuple[Tensor, Tensor]:
    """Frames ``(n, 3, h, w)`` uint8 of whole scenes, each in a light of its own; their places."""
    found: list[Tensor] = []
    spots: list[Tensor] = []
    for scene, cameras in enumerate(places.cameras):
        if sum(map(len, found)) >= frames:
            break
        count = len(cameras)
        light = torch.exp(torch.randn(count, 2) * torch.tensor([0.25, 0.5])).clamp(0.3, 2)
        lens = -torch.rand(count) * 0.35
        chosen = cameras_of(places.world, [scene] * count, cameras, lens, light)
        some = Cameras(*(getattr(chosen, name) for name in Cameras.__slots__))
        views, _ = render(places.world, some, FRAME)
        shown = views.flatten(1).std(dim=1) >= 0.06
        numbers = torch.arange(count) // VIEWS + 1000 * scene
        found.append((views[shown] * 255).round().to(torch.uint8))
        spots.append(numbers[shown])
    return torch.cat(found), torch.cat(spots)


def by_teacher(teacher: OnnxEncoder, images: NDArray[np.uint8], aspects: list[float]) -> Tensor:
    """The teacher's vectors of images that were squashed to squares."""
    from PIL import Image

    rows = []
    for image, aspect in zip(images, aspects, strict=True):
        limited = min(2.5, max(0.4, aspect))
        size = round((AREA * limited) ** 0.5), round((AREA / limited) ** 0.5)
        rows.append(teacher.encode([np.asarray(Image.fromarray(image).resize(size))])[0].vector)
    return torch.from_numpy(np.stack(rows)).float()


class Known:
    """A vector of every image and frame, and which of them show the same."""

    def __init__(self, vectors: Tensor, labels: Tensor, kept: float) -> None:
        self.first, self.vectors = vectors, vectors.clone()
        self.labels, self.kept = labels, kept

    def telling(self, vectors: Tensor, numbers: Tensor, temperature: float,
                itself: Tensor) -> Tensor:  # fmt: skip
        """Cross-entropy of finding what shows the same; `itself`: whether an image's own counts."""
        logits = vectors @ self.vectors.T / temperature
        same = self.labels[numbers][:, None] == self.labels[None, :]
        own = torch.zeros_like(same)
        own[torch.arange(len(numbers)), numbers] = True
        right = same & (itself[:, None] | ~own)
        # Others that show the same are no negatives of each other.
        others = torch.logsumexp(logits.masked_fill(same, -1e4), dim=1, keepdim=True)
        each = (torch.logaddexp(logits, others) - logits) * right
        count = right.sum(dim=1)
        return (each.sum(dim=1) / count.clamp(min=1))[count > 0].mean()

    @torch.no_grad()
    def move(self, vectors: Tensor, numbers: Tensor) -> None:
        mixed = self.kept * self.vectors[numbers] + (1 - self.kept) * vectors
        self.vectors[numbers] = functional.normalize(mixed, dim=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack", type=Path)
    parser.add_argument("teacher", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--trunk", choices=TRUNKS, default="lite2")
    parser.add_argument("--start", type=Path, help="what an earlier run wrote, to go on from")
    parser.add_argument("--minutes", type=float, default=100)
    parser.add_argument("--batch", type=int, default=64, help="images of which a view is made")
    parser.add_argument("--frames-each", type=int, default=24, help="frames in a batch")
    parser.add_argument("--worlds", type=int, default=420, help="rendered scenes")
    parser.add_argument("--frames", type=int, default=9000, help="frames in all")
    parser.add_argument("--mild", type=float, default=0.35, help="share of mild views")
    parser.add_argument("--lr", type=float, default=4e-4)
    parser.add_argument("--temperature", type=float, default=0.06)
    parser.add_argument("--closeness", type=float, default=2.0)
    parser.add_argument("--retention", type=float, default=0.1)
    parser.add_argument("--kept", type=float, default=0.7, help="of a known vector, when seen")
    parser.add_argument("--large", type=float, default=0.25, help="share at 256 pixels, the last")
    parser.add_argument("--every", type=int, default=50)
    options = parser.parse_args()
    torch.manual_seed(1)
    np.random.seed(1)
    device = torch.device("cpu")
    images, listed = read(options.pack)
    bank = Bank(images, listed, device)
    cache = options.out.with_suffix(".known.pt")
    if cache.is_file():
        frames, spots, first = torch.load(cache)
    else:
        begun = time.monotonic()
        places = Places(images, [row["kind"] for row in listed], options.worlds, device)
        frames, spots = rendered(places, options.frames)
        del places
        print(f"{len(frames)} frames after {time.monotonic() - begun:.0f} s", flush=True)
        teacher = OnnxEncoder(options.teacher)
        shown = frames.permute(0, 2, 3, 1).numpy()
        aspects = [row["aspect"] for row in listed]
        of_frames = by_teacher(teacher, shown, [FRAME[0] / FRAME[1]] * len(shown))
        first = torch.cat([by_teacher(teacher, images, aspects), of_frames])
        torch.save((frames, spots, first), cache)
        print(f"the teacher's vectors after {time.monotonic() - begun:.0f} s", flush=True)
    labels = torch.cat([bank.labels, spots + int(bank.labels.max()) + 1])
    known = Known(first, labels, options.kept)
    student = Student(options.trunk, first.shape[1])
    # torch's types know no `to` of modules with a memory format
    student = student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    retained = Retained(student, fit_head(student, bank, first))
    if options.start:
        student.load_state_dict(torch.load(options.start, weights_only=False)["state"])
    train(student, retained, bank, known, frames, options)


@torch.no_grad()
def fit_head(student: Student, bank: Bank, first: Tensor, count: int = 4000) -> Tensor:
    """Fit the vector to the teacher's by least squares; GeM's features of the images it used."""
    chosen = bank.choose(min(count, int((bank.weights > 0).sum())))
    rows = []
    for part in chosen.split(64):
        views = bank.views(part, 224, MILD)
        rows.append(student.pooled(student.lower(views)))
    pooled = torch.cat(rows)
    x = torch.cat([pooled, torch.ones(len(pooled), 1)], dim=1).double()
    y = first[chosen].double()
    gram = x.T @ x
    gram.diagonal().add_(1e-3 * gram.diagonal().mean())
    found = torch.linalg.solve(gram, x.T @ y).float()
    student.whitening.linear.weight.copy_(found[:-1].T)
    student.whitening.linear.bias.copy_(found[-1])
    near = (student.vectors(pooled) * first[chosen]).sum(dim=1)
    print(f"cosine to the teacher before training: {near.mean():.3f}", flush=True)
    return pooled


def train(student: Student, retained: Retained, bank: Bank, known: Known, frames: Tensor,
          options: argparse.Namespace) -> None:  # fmt: skip
    kept = copy.deepcopy(student).requires_grad_(False)
    trunk = [p for p in student.trunk.parameters() if p.requires_grad]
    groups = [{"params": trunk, "lr": options.lr},
              {"params": list(student.whitening.parameters()), "lr": options.lr}]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01, betas=(0.9, 0.98))
    seconds, begun, step = options.minutes * 60, time.monotonic(), 0
    log: list[dict[str, float]] = []
    pictures = len(bank.labels)
    while (passed := (time.monotonic() - begun) / seconds) < 1:
        rate = min(1, (step + 1) / 60) * (0.5 + 0.5 * math.cos(math.pi * passed))
        for group in optimizer.param_groups:
            group["lr"] = options.lr * max(rate, 0.01)
        side = 256 if passed > 1 - options.large else 192
        chosen = bank.choose(options.batch)
        mild_count = int(options.batch * options.mild)
        mild, strong = chosen[:mild_count], chosen[mild_count:]
        views = torch.cat([bank.views(mild, side, MILD), bank.views(strong, side, STRONG)])
        picked = torch.randint(len(frames), (options.frames_each,))
        walk = as_filmed(frames[picked].float() / 255)
        walk = functional.interpolate(walk, scale_factor=4 / 3, mode="bicubic").clamp(0, 1)
        low = student.lower(views)
        pooled = torch.cat([student.pooled(low), student.pooled(student.lower(walk))])
        vectors = student.vectors(pooled)
        numbers = torch.cat([chosen, picked + pictures])
        itself = torch.arange(len(numbers)) < options.batch
        telling = known.telling(vectors, numbers, options.temperature, itself)
        near = torch.cat([torch.arange(mild_count), torch.arange(options.batch, len(numbers))])
        close = 1 - (vectors[near] * known.first[numbers[near]]).sum(dim=1).mean()
        held = retained.loss(low[:mild_count], vectors[:mild_count])
        loss = telling + options.closeness * close + options.retention * held
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trunk, 2.0)
        optimizer.step()
        known.move(vectors[near].detach(), numbers[near])
        decay = min(0.995, (step + 1) / (step + 10))
        with torch.no_grad():
            for average, value in zip(kept.parameters(), student.parameters(), strict=True):
                average.lerp_(value, 1 - decay)
        step += 1
        if step % options.every == 0:
            row = {"step": step, "seconds": round(time.monotonic() - begun, 1)}
            row |= {"telling": round(float(telling), 3), "close": round(float(close), 3),
                    "held": round(float(held), 3)}  # fmt: skip
            log.append(row)
            print(json.dumps(row), flush=True)
            if not math.isfinite(row["telling"]):
                raise SystemExit("the loss is not finite")
        if step % (10 * options.every) == 0:
            save(kept, log, options)
    save(kept, log, options)
    print(f"{step} steps", flush=True)


def save(kept: Student, log: list[dict[str, float]], options: argparse.Namespace) -> None:
    state = {"trunk": options.trunk, "state": kept.state_dict(), "log": log}
    torch.save(state, options.out.with_suffix(".part"))
    options.out.with_suffix(".part").replace(options.out)


if __name__ == "__main__":
    main()
