"""Train a backbone and a head for retrieval on digits, as `glocal train` would, in seconds."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.learn.contracts import Backbone, Head, Objective
from glocal.learn.model import encode
from glocal.trials.data import Labelled
from glocal.trials.zoo import pixels


def train(
    trunk: Backbone,
    head: Head,
    objective: Objective,
    data: Labelled,
    *,
    steps: int,
    seed: int,
    batch: int = 64,
    lr: float = 3e-3,
) -> None:
    """Train all three with AdamW; they are in evaluation mode afterwards.

    Args:
        trunk: backbone; parameters that need no gradient stay as they are.
        head: head.
        objective: objective on the vectors; the head's own loss is added.
        data: images and labels.
        steps: number of steps.
        seed: seed of the batches.
        batch: images in a step.
        lr: highest learning rate.
    """
    images, labels = pixels(data.images), torch.from_numpy(data.labels)
    modules = (trunk, head, objective)
    learned = [p for m in modules for p in m.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=max(steps, 2))
    random = np.random.default_rng(seed)
    for module in modules:
        module.train()
    for step in range(steps):
        head.progress(step / steps)
        chosen = torch.from_numpy(random.choice(len(labels), min(batch, len(labels)), False))
        output = encode(trunk, head, images[chosen], trunk(images[chosen]))
        loss = objective(output.vector, labels[chosen]) + head.loss(output, labels[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    for module in modules:
        module.eval()


@torch.no_grad()
def vectors_of(trunk: Backbone, head: Head, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Vectors ``(n, d)`` of images."""
    trunk.eval(), head.eval()
    found = [encode(trunk, head, batch, trunk(batch)).vector for batch in pixels(images).split(256)]
    return torch.cat(found).numpy()
