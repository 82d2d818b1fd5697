"""Sines and cosines of latitude and longitude, at several scales: the usual location encoder."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn


class SineCosineEncoder(nn.Module):
    """Sines and cosines of both angles at S scales, and a network of rectified layers.

    Mai, Janowicz, Yan, Zhu, Cai and Lao, Multi-Scale Representation Learning for Spatial Feature
    Distributions using Grid Cells, ICLR 2020, in the form that Rußwurm et al. call ``grid``: PE =
    (cos x/a_s, sin x/a_s) for x = longitude and latitude in radians and a_s = r_min (r_max /
    r_min)^(s / (S - 1)).

    Deviations: none.

    Args:
        width: Length of the vectors.
        scales: S.
        finest: r_min, in radians; r_max is 1.
        hidden: Width of the network.
        layers: Its hidden layers.
    """

    def __init__(
        self,
        width: int,
        *,
        scales: int = 32,
        finest: float = 0.05,
        hidden: int = 128,
        layers: int = 2,
    ) -> None:
        super().__init__()
        self.register_buffer("inverse", 1 / finest ** torch.linspace(1, 0, scales))
        widths = [4 * scales, *[hidden] * layers]
        parts: list[nn.Module] = []
        for before, after in pairwise(widths):
            parts += [nn.Linear(before, after), nn.ReLU()]
        self.network = nn.Sequential(*parts, nn.Linear(hidden, width))

    def features(self, positions: Tensor) -> Tensor:
        """Take ``(n, 2)`` degrees to ``(n, 4 * scales)`` sines and cosines."""
        angles = (positions * (math.pi / 180))[:, :, None] * self.inverse  # type: ignore[operator]
        return torch.cat([torch.cos(angles), torch.sin(angles)], -1).flatten(1)

    def forward(self, positions: Tensor) -> Tensor:
        """Take ``(n, 2)`` degrees to ``(n, width)``."""
        found: Tensor = self.network(self.features(positions))
        return found
