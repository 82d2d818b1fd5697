"""CSWin: half of the heads attend within rows of cells, half within columns."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.pyramid import (
    CellLinear,
    ChannelNorm,
    Pyramid,
    Reduce,
    Scaled,
    each_channel,
)


def stripe_attention(rows: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention within horizontal stripes of so many rows; the last may be cut by the edge.

    Args:
        rows: rows of a stripe.
        query: ``(b, heads, d, h, w)``.
        key: likewise.
        value: likewise.

    Returns:
        ``(b, heads, d, h, w)``.
    """
    heads, depth, height, width = query.shape[1:]
    beyond = -height % rows
    split = []
    for tensor in (query, key, value):
        padded = functional.pad(tensor, (0, 0, 0, beyond))
        stripes = padded.reshape(-1, heads, depth, (height + beyond) // rows, rows, width)
        split.append(stripes.permute(0, 3, 1, 4, 5, 2).flatten(3, 4))  # (b, n, heads, rows*w, d)
    real = torch.arange(height + beyond, device=query.device).reshape(-1, 1, 1, rows, 1) < height
    real = real.expand(-1, 1, 1, rows, width).flatten(3)  # (n, 1, 1, rows * w)
    # Written out: torch's own exports four dimensions only, and slowly where sizes are unknown.
    alike = (split[0] @ split[1].mT / math.sqrt(depth)).masked_fill(~real, -torch.inf)
    found = alike.softmax(dim=-1) @ split[2]
    whole = found.unflatten(3, (rows, width)).permute(0, 2, 5, 1, 3, 4).flatten(3, 4)
    return whole[:, :, :, :height]


class CrossShapedAttention(nn.Module):
    """Cross-shaped window attention with locally enhanced positions (LePE).

    Each head computes ``softmax(Q K^T / sqrt(d)) V + DWConv(V)``, where the first half of the heads
    attends within vertical stripes and the second half within horizontal ones; together a cell
    attends to a cross.

    Args:
        width: channels.
        heads: number of heads.
        stripe: width of a stripe in cells; 0 for attention to the whole map.
    """

    def __init__(self, width: int, heads: int, stripe: int) -> None:
        super().__init__()
        self.heads, self.stripe = heads, stripe
        self.project, self.join = CellLinear(width, 3 * width), CellLinear(width, width)
        self.position = each_channel(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within the cross of each cell of ``(b, width, h, w)``."""
        split = self.project(x).unflatten(1, (3, self.heads, -1))
        query, key, value = split.unbind(dim=1)
        if self.stripe:
            half = self.heads // 2
            turned = (part[:, :half].mT for part in (query, key, value))
            down = stripe_attention(self.stripe, *turned).mT
            across = stripe_attention(self.stripe, *(x[:, half:] for x in (query, key, value)))
            found = torch.cat([down, across], dim=1)
        else:
            tokens = (part.flatten(3).mT for part in (query, key, value))
            found = functional.scaled_dot_product_attention(*tokens).mT.unflatten(3, x.shape[2:])
        joined: Tensor = self.join(found.flatten(1, 2) + self.position(value.flatten(1, 2)))
        return joined


class CsWin(Pyramid):
    """The CSWin transformer (Dong, Bao, Chen, Zhang, Yu, Yuan, Chen and Guo, 2022).

    A block is ``x + Attention(norm(x))``, then ``x + MLP(norm(x))``; stripes are 1, 2 and 7 cells
    wide in the first three stages, and the last attends to the whole map.

    Deviations: LePE is one convolution over the whole map, where the authors' code convolves each
    stripe by itself; sides that the stripes do not divide end with a narrower stripe. No stochastic
    depth.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    layers: ClassVar[tuple[int, ...]]
    width: ClassVar[int] = 64
    heads: ClassVar[tuple[int, ...]] = (2, 4, 8, 16)
    stripes: ClassVar[tuple[int, ...]] = (1, 2, 7, 0)

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        widths = [self.width * 2**number for number in range(4)]
        stages = []
        for number, (count, width) in enumerate(zip(self.layers, widths, strict=True)):
            first = Reduce(width // 2, width, 3, 2, 1) if number else Reduce(3, width, 7, 4, 2)
            made: list[nn.Module] = [first, ChannelNorm(width, eps=1e-5)]
            for _ in range(count):
                attention = CrossShapedAttention(width, self.heads[number], self.stripes[number])
                perceptron = (
                    *(CellLinear(width, 4 * width), nn.GELU()),
                    CellLinear(4 * width, width),
                )
                for layers in ((attention,), perceptron):
                    normed = nn.Sequential(ChannelNorm(width, eps=1e-5), *layers)
                    made.append(Scaled(normed, width, None))
            stages.append(nn.Sequential(*made))
        stages[-1].append(ChannelNorm(widths[-1], eps=1e-5))
        self.assemble(stages, widths, weights)


class CsWinTiny(CsWin):
    """The preset for small data: 0.4 M parameters. The paper's CSWin-T is `CsWinT`."""

    layers, width, heads, stripes = (1, 1, 2, 1), 16, (2, 2, 4, 4), (1, 2, 3, 0)


class CsWinT(CsWin):
    """23 M parameters with a classifier of 1,000 classes."""

    layers = (1, 2, 21, 1)


class CsWinS(CsWin):
    """35 M parameters, counted likewise."""

    layers = (2, 4, 32, 2)


class CsWinB(CsWin):
    """78 M parameters, counted likewise."""

    layers, width, heads = (2, 4, 32, 2), 96, (4, 8, 16, 32)


class CsWinL(CsWin):
    """173 M parameters, counted likewise."""

    layers, width, heads = (2, 4, 32, 2), 144, (6, 12, 24, 24)
