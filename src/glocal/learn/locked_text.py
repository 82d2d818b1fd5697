"""A linear image side for texts whose vectors stay as they are, trained by contrast.

Source: Zhai et al., LiT: Zero-Shot Transfer with Locked-image text Tuning, 2022, with the sides
exchanged: here the text side is locked, and the trunk of the image side too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

TEMPERATURE = 0.05


def train_image_side(
    rows: NDArray[np.float32],
    groups: NDArray[np.int64],
    texts: Sequence[NDArray[np.float32]],
    *,
    steps: int,
    random: np.random.Generator,
    batch: int = 256,
    lr: float = 2e-3,
) -> nn.Linear:
    """A linear map from image vectors to where the vectors of their texts are.

    In each step one text of its group is drawn for each image. What has the same group is right
    for it, all else in the batch is wrong, in both directions.

    Args:
        rows: ``(n, d)`` of images.
        groups: ``(n,)``: which texts belong to each.
        texts: of each group ``(m, k)`` of unit length.
        steps: number of steps.
        random: draws images, those of small groups more often, and texts.
        batch: images in a step.
        lr: highest learning rate; it rises and falls in one cycle.
    """
    head = nn.Linear(rows.shape[1], texts[0].shape[1])
    optimizer = torch.optim.AdamW(head.parameters(), lr=lr, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=max(steps, 2))
    share = 1 / np.sqrt(np.bincount(groups, minlength=len(texts))[groups])
    share /= share.sum()
    for _ in range(steps):
        chosen = random.choice(len(rows), batch, p=share)
        mine = groups[chosen]
        said = np.stack([texts[group][random.integers(len(texts[group]))] for group in mine])
        vectors = functional.normalize(head(torch.from_numpy(rows[chosen])), dim=-1)
        loss = _contrast(vectors, torch.from_numpy(said), torch.from_numpy(mine))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return head.eval().requires_grad_(False)


def image_vectors(head: nn.Linear, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors ``(n, k)`` of unit length of images ``(n, d)``."""
    found: NDArray[np.float32] = functional.normalize(head(torch.from_numpy(rows)), dim=-1).numpy()
    return found


def _contrast(images: Tensor, texts: Tensor, groups: Tensor) -> Tensor:
    logits = images @ texts.T / TEMPERATURE
    same = (groups[:, None] == groups).float()
    target = same / same.sum(dim=1, keepdim=True)
    return functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
