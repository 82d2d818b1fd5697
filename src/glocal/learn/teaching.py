"""Teach the layers of a model file to agree with the file as it was.

It is for a file that is to be quantised and for one whose layers became narrower. The teacher runs
in ONNX Runtime; the gradient passes through the layers alone. No labels are needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.augment import Augmentation
from glocal.learn.file_layers import FileLayers
from glocal.learn.file_vector import FileVector
from glocal.learn.quantization import Images, open_model

_POOLED = 5.0  # weight of the vectors' part in the loss


def teach(
    student: FileLayers,
    model: Any,
    batches: Iterator[NDArray[np.uint8]],
    *,
    steps: int,
    lr: float,
    warm: int,
    vector: bool = False,
    listen: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    """Train layers, in place.

    Args:
        student: the layers.
        model: the whole file, a ``ModelProto``: the teacher.
        batches: images ``(b, h, w, 3)`` uint8.
        steps: of training.
        lr: highest learning rate; it rises in `warm` steps and falls as a cosine.
        warm: number of steps.
        vector: compare vectors too, where `FileVector` can compute them.
        listen: is told the number of each step and its loss.

    Raises:
        LearnError: the loss is no number.
    """
    end: FileVector | None = None
    if vector:
        try:
            end = FileVector(model, student.watched)
        except NotImplementedError:
            end = None  # feature maps alone are compared
    names = [*student.given, *student.watched]
    layout = torch.channels_last  # in which convolutions of each channel by itself are faster
    student.to(memory_format=layout)  # type: ignore[call-overload]
    teacher = open_model(model, names)
    optimizer = torch.optim.Adam(student.parameters(), lr=lr)
    for step in range(steps):
        rate = lr * 0.5 * (1 + math.cos(math.pi * step / steps)) * min(1.0, (step + 1) / warm)
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = [teacher.run([*names, "vector"], {"image": image[None]}) for image in next(batches)]
        *known, vectors = (
            torch.from_numpy(np.stack([np.asarray(row[n]) for row in rows]))
            for n in range(len(names) + 1)
        )
        told = {name: value.squeeze(1) for name, value in zip(names, known, strict=True)}
        given = {n: told[n].contiguous(memory_format=layout) for n in student.given}
        found = student(given)
        loss = difference(found, {name: told[name] for name in student.watched})
        if end is not None:
            wanted = functional.normalize(vectors.flatten(1), dim=1)
            loss = loss + _POOLED * (1 - (end(found) * wanted).sum(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        reached = float(loss.detach())
        if not math.isfinite(reached):
            raise LearnError(f"after {step + 1} steps the loss is {reached}; use --steps 0")
        listen(step + 1, reached)


def difference(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> Tensor:
    """Squared error of each tensor relative to its power, and of what a pooling will see of it."""
    losses = []
    for name, target in wanted.items():
        power = target.square().mean().clamp_min(1e-12)
        losses.append((found[name] - target).square().mean() / power)
        pooled = [
            functional.normalize(each.clamp_min(1e-6).pow(3).mean((2, 3)).pow(1 / 3))
            for each in (found[name], target)
        ]
        losses.append(_POOLED * (1 - (pooled[0] * pooled[1]).sum(1)).mean())
    return torch.stack(losses).sum() / len(wanted)


def squares(images: Images, *, batch: int, side: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Squares cut out of images, half of them mirrored, ``(batch, side, side, 3)``, for ever."""
    rng = np.random.default_rng(seed)
    side = min(side, *(min(image.shape[1:3]) for image in images))
    while True:
        cut = []
        for number in rng.integers(0, len(images), batch):
            image = images[number][0]
            y, x = (rng.integers(0, length - side + 1) for length in image.shape[:2])
            square = image[y : y + side, x : x + side]
            cut.append(square[:, ::-1] if rng.random() < 0.5 else square)
        yield np.stack(cut)


def two_views(images: Images, *, batch: int, side: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Two views of each image, one nearly as it is and one much altered, for ever.

    Args:
        images: each ``(1, h, w, 3)`` uint8.
        batch: number of views, an even one.
        side: of the views, in pixels.
        seed: of what is chosen.

    Returns:
        Batches ``(batch, side, side, 3)``.
    """
    rng = np.random.default_rng(seed)
    mild, strong = (Augmentation(side=side, strength=each, mirror=True) for each in (0.1, 0.8))
    while True:
        chosen = [images[number][0] for number in rng.integers(0, len(images), batch // 2)]
        yield np.stack([view(image, rng) for image in chosen for view in (mild, strong)])
