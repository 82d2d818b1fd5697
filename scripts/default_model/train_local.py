"""Train the local features of the default model on a CPU: a head on its trunk, which is frozen.

    python scripts/default_model/train_local.py MODEL.onnx IMAGES GROCERY OUT.pt [--minutes 46]
        [--teacher LESSONS.npz]

MODEL.onnx is the model whose trunk it is, IMAGES what `gather_training_images.py` filled, GROCERY
the folder ``dataset`` of the Grocery Store dataset; only training images are used.

In each step the head sees two views of some images (`views.make_views`) and two frames of some
spots of rendered scenes, at whose every pixel it is known what is shown. Descriptors of points that
show the same have to find each other among those of all points of the batch; how far a descriptor
is to be trusted is whether it did. Keypoints are those of XFeat. With ``--teacher`` descriptors
also have to tell, by a linear map, what ALIKED says of the same points (`teach_local.py`). The
defaults, with a teacher, are those of the head that docs/decisions.md tells of.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from keypoint_head import CELL, MAPS, KeypointHead, at, heat, keypoints
from local_images import read_frames, read_images
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset
from train import as_filmed
from views import OUTSIDE, Strength, make_views

from glocal.encoders.precision import twin_path

ONE = Strength(0.5, 0.05, 0.08, 0.0, 0.15, 0.15, 0.6, 0.15)
OTHER = Strength(0.36, 0.2, 0.16, 0.06, 0.32, 0.3, 1.0, 0.35)
SIDE = 256
POINTS = 224


class Trunk:
    """The model's trunk up to stride 16, and its twin's in int8, by chance one or the other."""

    def __init__(self, model: Path) -> None:
        self._sessions = [self._opened(file) for file in (model, twin_path(model))]

    @staticmethod
    def _opened(file: Path) -> Any:
        proto = onnx.load(file)
        del proto.graph.output[:]
        proto.graph.output.extend(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, None, None, None])
            for name in MAPS
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(proto.SerializeToString(), options)

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps of strides 4, 8 and 16 of images ``(b, 3, h, w)`` in [0, 1]."""
        pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        session = self._sessions[int(torch.rand(()) < 0.5)]
        found = [session.run(None, {"image": image[None]}) for image in pixels]
        return tuple(torch.from_numpy(np.concatenate(maps)) for maps in zip(*found, strict=True))


@dataclass(frozen=True, slots=True)
class Pair:
    """Two views each of some things, all tensors: first views, then second ones."""

    images: Tensor
    maps: tuple[Tensor, ...]
    shown: Tensor


class Pairs(IterableDataset[tuple[Pair, Pair]]):
    """Two views of images, and two frames of spots, without end; made in a process of its own."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def __iter__(self) -> Iterator[tuple[Pair, Pair]]:
        options = self.options
        torch.set_num_threads(1)
        images, aspects, weights = read_images(options.images, options.grocery, options.out)
        frames = read_frames(images, options.worlds, options.out)
        trunk = Trunk(options.model)
        while True:
            chosen = torch.multinomial(weights, options.batch, replacement=False)
            sources = torch.from_numpy(images[chosen.numpy()]).permute(0, 3, 1, 2).float() / 255
            made = [make_views(sources, aspects[chosen], SIDE, how) for how in (ONE, OTHER)]
            views = torch.cat([view for view, _ in made])
            film, seen = frames.pairs(options.spots)
            film = as_filmed(film)
            order = [*range(0, len(film), 2), *range(1, len(film), 2)]
            film, seen = film[order], seen[order]
            yield (Pair(views, trunk(views), torch.cat([shown for _, shown in made])),
                   Pair(film, trunk(film), seen))  # fmt: skip


@torch.no_grad()
def paired(points: Tensor, shown: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Where points of one view are in another one.

    Args:
        points: ``(b, n, 2)``, x and y in pixels of the first view.
        shown: what each pixel of the first view shows, ``(b, H, W, k)``, or `OUTSIDE`.
        there: the same of the second view.

    Returns:
        Points of the second view ``(b, n, 2)``, and which of them are to be trusted.
    """
    _, height, width, size = there.shape
    spot = _at(shown, points)
    centre = CELL // 2
    coarse = there[:, centre::CELL, centre::CELL].flatten(1, 2)
    near = torch.cdist(spot, coarse).argmin(dim=2)
    across = width // CELL
    x, y = near % across * CELL + centre, near // across * CELL + centre
    # The nearest pixel within a cell and a quarter around, which is as exact as half a pixel.
    step = torch.arange(-5, 6)
    dy, dx = (v.flatten() for v in torch.meshgrid(step, step, indexing="ij"))
    xs = (x[..., None] + dx).clamp(0, width - 1)
    ys = (y[..., None] + dy).clamp(0, height - 1)
    flat = there.flatten(1, 2)
    index = (ys * width + xs).flatten(1)
    around = flat.gather(1, index[..., None].expand(-1, -1, size)).view(*xs.shape, size)
    apart = (around - spot[:, :, None]).norm(dim=-1)
    best, which = apart.min(dim=2)
    found = torch.stack([xs.gather(2, which[..., None])[..., 0],
                         ys.gather(2, which[..., None])[..., 0]], dim=-1)  # fmt: skip
    # How far neighbouring pixels are apart in what is shown.
    column, row = found.unbind(dim=-1)
    itself, beside = (
        flat.gather(1, (row * width + x)[..., None].expand(-1, -1, size))
        for x in (column, (column + 1).clamp(max=width - 1))
    )
    pace = (beside - itself).norm(dim=-1)
    seen = (spot < OUTSIDE).all(dim=-1) & (itself < OUTSIDE).all(dim=-1)
    return found + 0.5, seen & (best < pace + 1e-6) & (pace < 0.5)


def _at(shown: Tensor, points: Tensor) -> Tensor:
    """What the pixels at points ``(b, n, 2)`` show."""
    _, height, width, size = shown.shape
    x, y = points.long().unbind(dim=-1)
    index = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    return shown.flatten(1, 2).gather(1, index[..., None].expand(-1, -1, size))


@dataclass(frozen=True, slots=True)
class Figures:
    """Both losses, the share of pairs that find each other, and pairs in a pair of views."""

    matching: Tensor
    trusting: Tensor
    right: float
    pairs: float


def losses(one: Tensor, two: Tensor, trust: tuple[Tensor, Tensor], valid: Tensor,
           where: tuple[Tensor, Tensor], temperature: Tensor) -> Figures:  # fmt: skip
    """Cross-entropy of finding each point's partner among all points of the batch, both ways.

    Args:
        one: unit descriptors ``(b, n, e)`` of points of first views.
        two: of their partners.
        trust: logits ``(b, n)`` of both.
        valid: ``(b, n)``, which have a partner.
        where: the points, in pixels.
        temperature: of the softmax.
    """
    count, points, _ = one.shape
    near = torch.zeros(count, points, points, dtype=torch.bool)
    for spots in where:
        near |= torch.cdist(spots, spots) < 6.0
    near &= ~torch.eye(points, dtype=torch.bool)
    banned = torch.block_diag(*near.unbind()) | ~valid.flatten()[None]
    banned &= ~torch.eye(count * points, dtype=torch.bool)
    flat_one, flat_two, kept = one.flatten(0, 1), two.flatten(0, 1), valid.flatten()
    likeness = flat_one @ flat_two.T / temperature
    ways = (likeness.masked_fill(banned, -1e4), likeness.T.masked_fill(banned, -1e4))
    cost = sum(way.logsumexp(dim=1) for way in ways) - 2 * likeness.diagonal()
    weight = kept.float()
    total = weight.sum().clamp(min=1)
    matching = (cost * weight).sum() / total
    with torch.no_grad():
        blocks = likeness.view(count, points, count, points)
        inside = torch.stack([blocks[i, :, i] for i in range(count)])
        itself = torch.arange(points)
        forth = inside.masked_fill(near | ~valid[:, None], -1e4).argmax(dim=2)
        back = inside.masked_fill(near | ~valid[:, :, None], -1e4).argmax(dim=1)
        right = (forth == itself) & (back == itself)
    sure = sum(
        functional.binary_cross_entropy_with_logits(t, right.float(), reduction="none")
        for t in trust
    )
    trusting = (sure * valid).sum() / total
    return Figures(matching, trusting, float((right & valid).sum() / total), float(total) / count)


def points_of(images: Tensor, head: KeypointHead, trust: Tensor, count: int) -> Tensor:
    """Points of first views: half of them keypoints as they will be, a quarter by the pixels
    alone, and a quarter anywhere."""
    with torch.no_grad():
        heats = heat(head.pixels(images))
        picked, _ = keypoints(heats, trust.sigmoid(), count // 2)
        alone, _ = keypoints(heats, torch.ones_like(trust), count)
        some = alone[:, torch.randperm(count)[: count // 4]]
        sides = torch.tensor([images.shape[3], images.shape[2]])
        any_ = (torch.rand(len(images), count - count // 2 - count // 4, 2) * sides).floor() + 0.5
    return torch.cat([picked, some, any_], dim=1)


class Step:
    """One step's losses."""

    def __init__(self, head: KeypointHead) -> None:
        self.head = head
        self.temperature = nn.Parameter(torch.tensor(math.log(0.07)))

    def losses(self, pair: Pair) -> Figures:
        described, trust = self.head.dense(*pair.maps)
        count = len(pair.images) // 2
        points = points_of(pair.images[:count], self.head, trust[:count].detach(), POINTS)
        partners, valid = paired(points, pair.shown[:count], pair.shown[count:])
        unit = [functional.normalize(at(maps, spots), dim=-1) for maps, spots in
                ((described[:count], points), (described[count:], partners))]  # fmt: skip
        sure = at(trust[:count], points)[..., 0], at(trust[count:], partners)[..., 0]
        heated = self.temperature.exp().clamp(0.02, 0.2)
        return losses(unit[0], unit[1], sure, valid, (points, partners), heated)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("grocery", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=46)
    parser.add_argument("--batch", type=int, default=10, help="images of which two views are made")
    parser.add_argument("--spots", type=int, default=6, help="spots of which two frames are taken")
    parser.add_argument("--worlds", type=int, default=110, help="rendered scenes")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--start", type=Path, help="what an earlier run wrote, to go on from")
    parser.add_argument("--teacher", type=Path, help="what teach_local.py wrote")
    parser.add_argument("--every", type=int, default=50)
    options = parser.parse_args()
    torch.manual_seed(1)
    np.random.seed(1)
    read_frames(read_images(options.images, options.grocery, options.out)[0], options.worlds,
                options.out)  # fmt: skip
    head = KeypointHead(dim=options.dim)
    head.pixels.start_from_xfeat()
    head.pixels.requires_grad_(False)
    if options.start:
        head.load_state_dict(torch.load(options.start, weights_only=False)["state"])
    train(head, options)


def train(head: KeypointHead, options: argparse.Namespace) -> None:
    step_of = Step(head)
    torch.set_num_threads(1)
    pairs = iter(DataLoader(Pairs(options), batch_size=None, num_workers=1, prefetch_factor=4))
    kept = copy.deepcopy(head).requires_grad_(False)
    learned = [p for p in head.parameters() if p.requires_grad]
    groups = [{"params": learned, "lr": options.lr},
              {"params": [step_of.temperature], "lr": options.lr, "weight_decay": 0.0}]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-3, betas=(0.9, 0.98))
    lessons = Lessons(options.teacher, head, options.model) if options.teacher else None
    if lessons:
        optimizer.add_param_group({"params": list(lessons.maps.parameters()), "lr": options.lr})
    seconds, begun, step = options.minutes * 60, time.monotonic(), 0
    log: list[dict[str, Any]] = []
    mean: dict[str, float] = {}
    while (passed := (time.monotonic() - begun) / seconds) < 1:
        rate = min(1, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * passed))
        for group in optimizer.param_groups:
            group["lr"] = options.lr * max(rate, 0.01)
        of_images, of_places = (step_of.losses(pair) for pair in next(pairs))
        loss = of_images.matching + of_places.matching + of_images.trusting + of_places.trusting
        row = {"image": float(of_images.matching.detach()),
               "place": float(of_places.matching.detach()),
               "right": of_images.right, "right place": of_places.right,
               "pairs": of_images.pairs, "pairs place": of_places.pairs,
               "trust": float(of_images.trusting.detach())}  # fmt: skip
        if lessons:
            told = lessons.loss()
            loss = loss + 2.0 * told
            row["told"] = float(told.detach())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(learned, 2.0)
        optimizer.step()
        decay = min(0.998, (step + 1) / (step + 10))
        with torch.no_grad():
            for average, value in zip(kept.parameters(), head.parameters(), strict=True):
                average.lerp_(value, 1 - decay)
        step += 1
        for name, figure in row.items():
            mean[name] = mean.get(name, 0.0) + figure / options.every
        if step % options.every == 0:
            line: dict[str, float] = {"step": step, "seconds": round(time.monotonic() - begun)}
            line |= {name: round(figure, 3) for name, figure in mean.items()}
            line["temperature"] = round(float(step_of.temperature.detach().exp()), 4)
            mean = {}
            log.append(line)
            print(json.dumps(line), flush=True)
            if not math.isfinite(line["image"]):
                raise SystemExit("the loss is not finite")
        if step % (10 * options.every) == 0:
            save(kept, log, options)
    save(kept, log, options)
    print(f"{step} steps", flush=True)


class Lessons:
    """Points of training images, and what ALIKED says of them."""

    def __init__(self, file: Path, head: KeypointHead, model: Path) -> None:
        stored = np.load(file)
        self.images, self.points = stored["images"], torch.from_numpy(stored["points"])
        self.described = torch.from_numpy(stored["descriptors"])
        self.maps = nn.Linear(head.descriptor.out_channels, self.described.shape[2])
        self.head, self.trunk = head, Trunk(model)

    def loss(self, count: int = 6) -> Tensor:
        """How far the descriptors are from what a linear map makes of the head's."""
        chosen = torch.randint(len(self.images), (count,))
        images = torch.from_numpy(self.images[chosen.numpy()]).permute(0, 3, 1, 2).float() / 255
        described, _ = self.head.dense(*self.trunk(images))
        unit = functional.normalize(at(described, self.points[chosen].float()), dim=-1)
        told = self.described[chosen].float()
        return 1 - functional.cosine_similarity(self.maps(unit), told, dim=-1).mean()


def save(kept: KeypointHead, log: list[dict[str, Any]], options: argparse.Namespace) -> None:
    state = {"state": kept.state_dict(), "dim": options.dim, "log": log}
    torch.save(state, options.out.with_suffix(".part"))
    options.out.with_suffix(".part").replace(options.out)


if __name__ == "__main__":
    main()
