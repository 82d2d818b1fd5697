"""Res2Net's module: a 3x3 convolution becomes a hierarchy of smaller ones."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.contracts import Block, Role


class Res2Net(Block):
    """Multi-scale splits within one block (Gao, Cheng, Zhao, Zhang, Yang and Torr, 2019).

    The channels are split into ``s`` parts ``x_i`` of ``w`` channels: ``y_1 = x_1``, ``y_2 =
    K_2(x_2)`` and ``y_i = K_i(x_i + y_(i-1))`` with 3x3 convolutions ``K_i``, so that the last part
    has passed ``s - 1`` of them. The parts are joined by a 1x1 convolution.

    Deviations: in the paper the 1x1 convolutions of the bottleneck around the 3x3 one spread and
    join the parts; as a stand-in for one 3x3 convolution the block has its own. Unless given, ``w``
    is the largest for which it has no more weights than the convolution.

    Args:
        width: channels of the input.
        out: channels of the output.
        stride: 1.
        scales: number of parts ``s``, at least 2.
        part: channels ``w`` of a part; None for as many as the weights of a 3x3 convolution allow.

    Raises:
        LearnError: there are fewer than two parts.
    """

    role: ClassVar[Role] = "conv"
    widens: ClassVar[bool] = True

    def __init__(
        self,
        width: int,
        *,
        out: int | None = None,
        stride: int = 1,
        scales: int = 4,
        part: int | None = None,
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        if scales < 2:
            raise LearnError(f"Res2Net needs two or more parts, not {scales}")
        part = _largest_part(width, self.out, scales) if part is None else part
        self.scales = scales
        self.spread = nn.Conv2d(width, scales * part, 1, bias=False)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(part, part, 3, padding=1, bias=False), nn.BatchNorm2d(part), nn.ReLU()
            )
            for _ in range(scales - 1)
        )
        self.join = nn.Conv2d(scales * part, self.out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Pass the parts through their hierarchy and join them."""
        first, *others = self.spread(x).chunk(self.scales, dim=1)
        made = [first]
        for number, (layer, part) in enumerate(zip(self.layers, others, strict=True)):
            made.append(layer(part + made[-1] if number else part))
        found: Tensor = self.join(torch.cat(made, dim=1))
        return found


def _largest_part(width: int, out: int, scales: int) -> int:
    """The most channels of a part with at most the weights of a 3x3 convolution."""
    limit = 9 * width * out
    part = 1
    while (part + 1) * scales * (width + out) + 9 * (scales - 1) * (part + 1) ** 2 <= limit:
        part += 1
    return part
