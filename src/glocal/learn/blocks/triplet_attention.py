"""Triplet attention: three gates, one for each pair of dimensions."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.learn.contracts import Block, Role


class TripletAttention(Block):
    """Convolutional triplet attention (Misra, Nalamada, Arasanipalai and Hou, 2021).

    In each of three branches the tensor is rotated, so that one of channels, height and width lies
    where channels do. The Z-pool keeps the largest and the mean value along it, a ``k x k``
    convolution of these two with batch normalisation and a sigmoid gives a gate over the other two
    dimensions. The branches ``(C, W)``, ``(H, C)`` and ``(H, W)`` weight the features, and their
    mean is the output.

    Deviations: none known.

    Args:
        width: channels.
        kernel: side ``k`` of the kernels, an odd number.
    """

    role: ClassVar[Role] = "gate"

    def __init__(
        self, width: int, *, out: int | None = None, stride: int = 1, kernel: int = 7
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        self.gates = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(1)
            )
            for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weight the features by each gate, and average."""
        branches = []
        for gate, dim in zip(self.gates, (1, 2, 3), strict=True):
            turned = x.transpose(1, dim)
            pooled = torch.cat(
                [turned.amax(dim=1, keepdim=True), turned.mean(dim=1, keepdim=True)], dim=1
            )
            branches.append((turned * gate(pooled).sigmoid()).transpose(1, dim))
        mean: Tensor = (branches[0] + branches[1] + branches[2]) / 3
        return mean
