"""Heads on photos of Grocery and a trunk with the weights of ImageNet, which stays as it is.

Feature maps are computed once for each photo, so that a training costs what its head costs.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocal.learn.backbones.efficientnet_lite import EfficientNetLite0
from glocal.learn.contracts import Head, Level, Objective

SIDE = 224
"""Pixels: the maps have 14x14 cells of 112 channels and 7x7 of 1,280."""

_KEPT: dict[bytes, list[Tensor]] = {}


def levels() -> tuple[Level, ...]:
    """Levels of the two maps, fine to coarse."""
    return _trunk().levels[1:]


@torch.no_grad()
def maps_of(images: NDArray[np.uint8]) -> list[Tensor]:
    """Both maps of images ``(n, 224, 224, 3)``: ``(n, 112, 14, 14)`` and ``(n, 1280, 7, 7)``."""
    found = []
    for image in images:
        key = image.tobytes()
        if key not in _KEPT:
            pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
            _KEPT[key] = [each[0] for each in _trunk()(pixels)[1:]]
        found.append(_KEPT[key])
    return [torch.stack(maps) for maps in zip(*found, strict=True)]


def train_head(
    head: Head, objective: Objective, maps: list[Tensor], labels: NDArray[np.int64], *,
    steps: int, seed: int, batch: int = 32, lr: float = 3e-3,
) -> None:  # fmt: skip
    """Train a head and its objective with AdamW; both are in evaluation mode afterwards.

    Args:
        head: head for `levels`.
        objective: objective on its vectors; the head's own loss is added.
        maps: maps of the images, as `maps_of` gives them.
        labels: ``(n,)``.
        steps: number of steps.
        seed: seed of the batches.
        batch: images in a step.
        lr: highest learning rate; it rises and falls in one cycle.
    """
    targets = torch.from_numpy(labels)
    learned = [*head.parameters(), *objective.parameters()]
    optimizer = torch.optim.AdamW(learned, lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=max(steps, 2))
    random = np.random.default_rng(seed)
    head.train(), objective.train()
    for step in range(steps):
        head.progress(step / steps)
        chosen = torch.from_numpy(random.choice(len(labels), min(batch, len(labels)), False))
        output = head([each[chosen] for each in maps])
        loss = objective(output.vector, targets[chosen]) + head.loss(output, targets[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    head.eval(), objective.eval()


@torch.no_grad()
def vectors_of(head: Head, maps: list[Tensor]) -> NDArray[np.float32]:
    """Vectors ``(n, d)`` of images with these maps."""
    parts = zip(*(each.split(64) for each in maps), strict=True)
    return torch.cat([head.eval()(list(part)).vector for part in parts]).numpy()


@cache
def _trunk() -> EfficientNetLite0:
    return EfficientNetLite0().eval().requires_grad_(False)
