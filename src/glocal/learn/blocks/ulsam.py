"""ULSAM: an attention map of its own for each group of channels."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Block, Role


class SubspaceAttention(Block):
    """The ultra-lightweight subspace attention module (Saini, Jha, Nag and Mittal, 2020).

    The channels are split into ``g`` groups ``F_n``. Each has an attention map ``A_n =
    softmax(PW(maxpool 3x3(DW(F_n))))`` over the cells, with a 1x1 filter for each channel (DW) and
    one to a single map (PW), and becomes ``A_n * F_n + F_n``. The groups are joined again. It has
    two weights for each channel, and replaces layers of a compact network.

    Deviations: none known.

    Args:
        width: channels.
        out: as `width`.
        stride: 1.
        groups: number of groups ``g``.

    Raises:
        LearnError: the groups do not divide the channels.
    """

    role: ClassVar[Role] = "mixer"

    def __init__(
        self, width: int, *, out: int | None = None, stride: int = 1, groups: int = 4
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        if width % groups:
            raise LearnError(f"{groups} groups do not divide {width} channels; use another number")
        self.groups = groups
        self.depth = nn.Conv2d(width, width, 1, groups=width, bias=False)
        self.point = nn.Conv2d(width, groups, 1, groups=groups, bias=False)

    def attention(self, x: Tensor) -> Tensor:
        """The attention maps ``(b, groups, h, w)``; each sums to 1."""
        pooled = functional.max_pool2d(self.depth(x), 3, stride=1, padding=1)
        scores = self.point(pooled)
        return torch.softmax(scores.flatten(2), dim=2).reshape(scores.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Weight the groups by their attention, and add them to themselves."""
        share = self.width // self.groups
        return x + x * self.attention(x).repeat_interleave(share, dim=1)
