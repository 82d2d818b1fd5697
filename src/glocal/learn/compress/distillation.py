"""Train a smaller network on what the network that it was made from says."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import CompressError


def distil(
    small: nn.Module,
    whole: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int = 200,
    batch: int = 64,
    lr: float = 3e-3,
    weight: float = 0.9,
    temperature: float = 4.0,
    seed: int = 0,
) -> None:
    """Train a classifier with labels and the soft answers of another one, in place.

    The loss is ``(1 - weight) CE(z, y) + weight T² KL(softmax(z' / T) ‖ softmax(z / T))``, where
    ``z`` are the scores of the small network and ``z'`` those of the whole one. AdamW, the rate in
    one cycle; the small network is in evaluation mode afterwards.

    Source: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015.

    Args:
        small: from images to scores ``(b, classes)``.
        whole: likewise; it is not changed.
        images: ``(n, 3, h, w)`` float, inputs of both.
        labels: ``(n,)`` int64.
        steps: number of steps.
        batch: images in a step.
        lr: highest learning rate.
        weight: share of the soft answers in the loss, in [0, 1]; 0 trains on labels alone.
        temperature: ``T``, above 0.
        seed: seed of the batches.

    Raises:
        CompressError: settings, images and labels do not fit.
    """
    if len(images) != len(labels) or not len(images):
        raise CompressError(f"{len(images)} images need as many labels, not {len(labels)}")
    if steps < 1 or batch < 1 or lr <= 0 or not 0 <= weight <= 1 or temperature <= 0:
        raise CompressError(
            "steps and batch have to be at least 1, lr and temperature above 0 and weight in "
            f"[0, 1], not {steps!r}, {batch!r}, {lr!r}, {temperature!r} and {weight!r}"
        )
    training = whole.training
    with torch.no_grad():
        whole.eval()
        soft = torch.cat([(whole(part) / temperature).softmax(1) for part in images.split(256)])
    whole.train(training)
    generator = torch.Generator().manual_seed(seed)
    learned = [each for each in small.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=max(steps, 2))
    small.train()
    for _ in range(steps):
        chosen = torch.randperm(len(labels), generator=generator)[:batch]
        scores = small(images[chosen])
        told = functional.kl_div(
            (scores / temperature).log_softmax(1), soft[chosen], reduction="batchmean"
        )
        loss = weight * temperature**2 * told
        loss = loss + (1 - weight) * functional.cross_entropy(scores, labels[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    small.eval()
