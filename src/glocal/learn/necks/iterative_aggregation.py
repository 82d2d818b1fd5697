"""Iterative deep aggregation: coarser maps join a finer one, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Level, Neck


class IterativeAggregation(Neck):
    """Iterative deep aggregation (Yu, Wang, Shelhamer and Darrell, Deep Layer Aggregation, 2018).

    ``I(x_1, ..., x_n) = I(N(x_1, x_2), x_3, ..., x_n)`` from the finest map on: each coarser map
    passes a 1x1 convolution to the finer one's width and is enlarged, and the aggregation node
    ``N(a, b) = relu(BN(W [a, b]))``, a 3x3 convolution, joins it. A level's output aggregates its
    own map and all coarser ones; the coarsest stays as it is.

    Deviations: maps are enlarged bilinearly, where the authors' code learns the enlargement; every
    level is aggregated by itself, where it shares intermediate results.

    Args:
        levels: levels of the backbone's feature maps, fine to coarse; widths stay.

    Raises:
        LearnError: there are no levels.
    """

    def __init__(self, levels: Sequence[Level]) -> None:
        super().__init__()
        if not levels:
            raise LearnError("aggregation needs at least one feature map; use another backbone")
        self.levels = tuple(levels)
        self.rows = nn.ModuleList(
            nn.ModuleList(_Node(level.width, coarser.width) for coarser in levels[number + 1 :])
            for number, level in enumerate(levels)
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The aggregated maps, fine to coarse."""
        found = []
        for number, row in enumerate(self.rows):
            x = maps[number]
            for node, coarser in zip(row.children(), maps[number + 1 :], strict=True):
                x = node(x, coarser)
            found.append(x)
        return found


class _Node(nn.Module):
    """Joins a coarser map to a finer one of this width."""

    def __init__(self, width: int, coarser: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(coarser, width, 1, bias=False)
        self.join = nn.Sequential(
            nn.Conv2d(2 * width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )

    def forward(self, x: Tensor, coarser: Tensor) -> Tensor:
        raised = functional.interpolate(
            self.project(coarser), size=x.shape[2:], mode="bilinear", align_corners=False
        )
        found: Tensor = self.join(torch.cat([x, raised], dim=1))
        return found
