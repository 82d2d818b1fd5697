"""Medusa: task heads with two attentions, which attach to one backbone independently."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Head, Level, Output
from glocal.learn.heads.whitening import Whitening


class Medusa(Head):
    """The task head of Medusa (Spencer, Bowden and Hadfield, 2022).

    Shared feature attention masks each backbone map ``x_s`` for this task, by a 1x1 convolution:
    ``f_s = sigmoid(A_s x_s) * (B_s x_s)``. Multi-scale attention combines the scales at the finest
    resolution: the maps ``f_s`` are enlarged, a 1x1 convolution scores them together, and each
    cell and channel is the sum of the scales weighted by the softmax over scales of these scores.

    A head has no weight in common with another, and a backbone can carry any number of them:
    adding one changes no output of those that are there.

    Deviations: the paper predicts maps, such as depth, at full resolution and upsamples features
        with residual blocks; here the cells are averaged and projected to a vector, and the
        scales meet at the finest of ``scales`` maps.

    Args:
        levels: levels of the backbone's feature maps; the coarsest ones are used.
        dim: length of the vector.
        width: channels of the task's features at each scale.
        scales: number of maps, counted from the coarsest; fewer if the backbone has fewer.
    """

    def __init__(
        self, levels: Sequence[Level], *, dim: int = 512, width: int = 64, scales: int = 3
    ) -> None:
        super().__init__()
        used = list(levels)[-scales:]
        self.dim, self.scales = dim, len(used)
        self.masks = nn.ModuleList(nn.Conv2d(level.width, width, 1) for level in used)
        self.features = nn.ModuleList(nn.Conv2d(level.width, width, 1) for level in used)
        self.compare = nn.Conv2d(width * len(used), width * len(used), 1)
        self.whitening = Whitening(width, dim)

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """Mask the maps, combine the scales, and pool."""
        used = maps[-self.scales :]
        size = used[0].shape[2:]
        found = []
        for x, mask, feature in zip(used, self.masks, self.features, strict=True):
            masked = mask(x).sigmoid() * feature(x)
            found.append(functional.interpolate(masked.float(), size=size, mode="bilinear"))
        stacked = torch.stack(found, dim=1)
        scores = self.compare(stacked.flatten(1, 2)).float().reshape(stacked.shape)
        combined = (scores.softmax(dim=1) * stacked).sum(dim=1)
        pooled = functional.normalize(combined.mean(dim=(2, 3)), dim=-1)
        return Output(self.whitening(pooled))
