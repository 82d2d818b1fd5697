"""Inception Transformer: convolution, pooling and attention, each on its share of the channels."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.attention import attend, like, tokens
from glocal.learn.backbones.pyramid import ChannelNorm, Pyramid, Reduce, Scaled, each_channel
from glocal.learn.graft import Residual


class InceptionMixer(nn.Module):
    """The mixer: high frequencies by convolution and pooling, low ones by attention.

    The channels are split into ``X_h1``, ``X_h2`` and ``X_l``. ``Y_h1 = DWConv(FC(X_h1))``,
    ``Y_h2 = FC(MaxPool(X_h2))``, both of twice the width, and ``Y_l = Upsample(MSA(AvePool(X_l)))``
    are joined to ``Y``; the result is ``FC(Y + DWConv(Y))``.

    Args:
        width: channels.
        heads: heads that all channels would have.
        low: heads of attention; ``low / heads`` of the channels are ``X_l``.
        pool: how much smaller the map is on which is attended.
    """

    def __init__(self, width: int, heads: int, low: int, pool: int) -> None:
        super().__init__()
        self.low, self.pool = low, pool
        attended = low * (width // heads)
        high = (width - attended) // 2
        self.shares = [high, high, attended]
        self.convolve = nn.Sequential(
            nn.Conv2d(high, 2 * high, 1, bias=False),
            each_channel(2 * high, 3, bias=False),
            nn.GELU(),
        )
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(high, 2 * high, 1), nn.GELU())
        self.qkv = nn.Linear(attended, 3 * attended)
        joined = 4 * high + attended
        self.fuse = Residual(each_channel(joined, 3, bias=False))
        self.out = nn.Conv2d(joined, width, 1)

    def attended(self, x: Tensor) -> Tensor:
        """Attention on the averages of squares of cells, repeated over each square."""
        small = functional.avg_pool2d(x, self.pool) if self.pool > 1 else x
        query, key, value = self.qkv(tokens(small)).chunk(3, dim=-1)
        found = like(attend(query, key, value, self.low), small)
        if self.pool == 1:
            return found
        # Rows and columns are picked, since the graph for ONNX fits any size only then.
        rows, columns = (torch.arange(side, device=x.device) // self.pool for side in x.shape[2:])
        return found[:, :, rows][:, :, :, columns]

    def branches(self, x: Tensor) -> list[Tensor]:
        """What convolution, pooling and attention make of their channels."""
        first, second, low = x.split(self.shares, dim=1)
        return [self.convolve(first), self.pooled(second), self.attended(low)]

    def forward(self, x: Tensor) -> Tensor:
        """From ``(b, width, h, w)`` to the same shape."""
        found: Tensor = self.out(self.fuse(torch.cat(self.branches(x), dim=1)))
        return found


class _Placed(nn.Module):
    """Adds a learned embedding of places, interpolated to the size of the map."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.zeros(1, width, side, side))

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        return x + functional.interpolate(self.embedding, size=size, mode="bilinear")


class InceptionTransformer(Pyramid):
    """Inception Transformer, iFormer (Si et al., 2022).

    Layers ``Y = X + ITM(LN(X))``, ``H = Y + FFN(LN(Y))`` with the mixer `InceptionMixer`. The
    frequency ramp: from layer to layer fewer channels are convolved and pooled, more attended to.

    Deviations: embeddings of places start at zero; layers of the last two stages start with a
    factor of 1e-6 in the published sizes as in the authors' code, in the tiny preset with 1.
    """

    widths: ClassVar[tuple[int, ...]]
    heads: ClassVar[tuple[int, ...]]
    low: ClassVar[tuple[tuple[int, ...], ...]]
    grid: ClassVar[int] = 56
    start: ClassVar[float] = 1e-6

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        first = self.widths[0]
        down: list[nn.Module] = [
            Reduce(3, first // 2, 3, 2, 1),
            nn.BatchNorm2d(first // 2),
            nn.GELU(),
            Reduce(first // 2, first, 3, 2, 1),
            nn.BatchNorm2d(first),
        ]
        stages: list[nn.Module] = []
        for stage, width in enumerate(self.widths):
            if stage:
                before = self.widths[stage - 1]
                down = [Reduce(before, width, 3, 2, 1), nn.BatchNorm2d(width)]
            layers = [self._layer(stage, low) for low in self.low[stage]]
            place = _Placed(width, max(1, self.grid // 2**stage))
            stages.append(nn.Sequential(*down, place, *layers))
        stages[-1] = nn.Sequential(stages[-1], ChannelNorm(self.widths[-1]))
        self.assemble(stages, self.widths, weights)

    def _layer(self, stage: int, low: int) -> nn.Module:
        width, pool = self.widths[stage], 2 if stage < 2 else 1
        mixer = InceptionMixer(width, self.heads[stage], low, pool)
        feed = [nn.Conv2d(width, 4 * width, 1), nn.GELU(), nn.Conv2d(4 * width, width, 1)]
        parts = (
            nn.Sequential(ChannelNorm(width), mixer),
            nn.Sequential(ChannelNorm(width), *feed),
        )
        if stage < 2:
            return nn.Sequential(*(Residual(part) for part in parts))
        return nn.Sequential(*(Scaled(part, width, self.start) for part in parts))


class InceptionTransformerTiny(InceptionTransformer):
    """The preset for small data: 0.2 M parameters."""

    widths, heads, grid, start = (16, 24, 32, 48), (4, 6, 8, 12), 8, 1.0
    low = ((1,), (2,), (4, 6), (10,))


class InceptionTransformerS(InceptionTransformer):
    """iFormer-S: 19.9 M parameters with a classifier of 1,000 classes."""

    widths, heads = (96, 192, 320, 384), (3, 6, 10, 12)
    low = ((1,) * 3, (3,) * 3, (7,) * 4 + (9,) * 5, (11,) * 3)


class InceptionTransformerB(InceptionTransformer):
    """iFormer-B: 47.9 M parameters with a classifier of 1,000 classes."""

    widths, heads = (96, 192, 384, 512), (3, 6, 12, 16)
    low = ((1,) * 4, (3,) * 6, (8,) * 7 + (10,) * 7, (15,) * 6)


class InceptionTransformerL(InceptionTransformer):
    """iFormer-L: 86.6 M parameters with a classifier of 1,000 classes."""

    widths, heads = (96, 192, 448, 640), (3, 6, 14, 20)
    low = ((1,) * 4, (3,) * 6, (10,) * 9 + (12,) * 9, (19,) * 8)
