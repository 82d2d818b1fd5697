"""TransNeXt: each token attends to its neighbours and to a pooled map of everything, at once."""

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
from glocal.learn.blocks.neighbourhoods import zero_padded

_WINDOW, _NATIVE = 3, 224


class DistanceBias(nn.Module):
    """A bias of each head for a distance between cells, by a network of two layers.

    Distances are in parts of the map that the network was made for, and logarithmic:
    ``sign(d) log2(1 + |d|) / 3`` with ``d`` up to 8.

    Args:
        heads: number of heads.
        hidden: width between the layers.
        side: cells along a side of that map.
        ratio: cells along a side of a pooled cell.
    """

    def __init__(self, heads: int, hidden: int, side: int, ratio: int) -> None:
        super().__init__()
        self.side, self.ratio = side, ratio
        self.layers = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, heads))

    def forward(self, x: Tensor) -> Tensor:
        """For the cells of ``(b, c, h, w)``, ``(heads, h * w, (h / ratio) * (w / ratio))``."""
        lines, chosen = [], []
        for side in x.shape[2:]:
            pooled = side // self.ratio
            # Cell i is this far from the middle of pooled cell j, so distances repeat.
            steps = torch.arange(side + (pooled - 1) * self.ratio, device=x.device)
            middle = (pooled - 1) * self.ratio + (self.ratio - 1) / 2
            far = (steps.to(x.dtype) - middle) * 8 / (self.side - 1)
            lines.append(far.sign() * (far.abs() + 1).log2() / 3)
            cells = torch.arange(side, device=x.device)
            pools = torch.arange(pooled, device=x.device)
            chosen.append(cells[:, None] + self.ratio * (pooled - 1 - pools))
        down, across = torch.broadcast_tensors(lines[0][:, None], lines[1][None])
        table = self.layers(torch.stack([down, across], dim=-1)).movedim(-1, 0)
        found: Tensor = table[:, chosen[0][:, None, :, None], chosen[1][None, :, None, :]]
        return found.flatten(3).flatten(1, 2)


class AggregatedAttention(nn.Module):
    """Pixel-focused attention with query embedding and learned tokens.

    One softmax over the neighbours and the pooled cells,
    ``A = softmax(tau log(N) (Q + QE) [K_near, K_pool]^T + [B_near, B_pool])`` with ``Q`` and ``K``
    of unit length and ``N`` keys, and then ``(A_near + Q T + b) V_near + A_pool V_pool``, where
    ``QE`` is a learned query and ``T`` are learned tokens, keys that do not depend on the image.

    Args:
        width: channels.
        heads: number of heads.
        ratio: cells along a side of a pooled cell; 1 for plain attention to all cells.
        hidden: width of the network of `DistanceBias`.
        side: cells along a side of the map that the network is made for.
    """

    def __init__(self, width: int, heads: int, ratio: int, hidden: int, side: int) -> None:
        super().__init__()
        self.heads, self.ratio = heads, ratio
        depth = width // heads
        self.query, self.keys = CellLinear(width, width), CellLinear(width, 2 * width)
        self.join = CellLinear(width, width)
        self.embedding = nn.Parameter(torch.randn(heads, 1, depth) * 0.02)
        start = math.log(math.exp(1 / 0.24) - 1)  # softplus of it is 1 / 0.24
        self.temperature = nn.Parameter(torch.full((heads, 1, 1), start))
        self.bias = DistanceBias(heads, hidden, side, ratio)
        if ratio > 1:
            self.pool = nn.Sequential(CellLinear(width, width), nn.GELU(), nn.AvgPool2d(ratio),
                                      ChannelNorm(width, eps=1e-5))  # fmt: skip
            self.near = nn.Parameter(torch.randn(heads, 1, _WINDOW**2) * 0.0004)
            self.tokens = nn.Parameter(torch.randn(heads, depth, _WINDOW**2) * 0.02)
            self.shift = nn.Parameter(torch.zeros(heads, 1, _WINDOW**2))

    def forward(self, x: Tensor) -> Tensor:
        """Attend to neighbours and pooled cells of ``(b, width, h, w)``."""
        unit = functional.normalize(self._split(self.query(x)), dim=-1)
        key, value = self.keys(self.pool(x) if self.ratio > 1 else x).chunk(2, dim=1)
        key, value = functional.normalize(self._split(key), dim=-1), self._split(value)
        ones = torch.ones_like(x[:1, :1])
        seen = torch.ones_like(key[:1, :1, :, :1]).sum()  # the number of pooled cells
        if self.ratio > 1:
            inside = torch.stack(list(zero_padded(ones, _WINDOW)), dim=-1).flatten(
                1, 3
            )  # (1, N, k)
            seen = seen + inside.sum(dim=-1, keepdim=True)
        scale = functional.softplus(self.temperature) * seen.log()
        query = (unit + self.embedding) * scale  # (b, heads, N, d)
        scores = query @ key.mT + self.bias(x)
        if self.ratio == 1:
            return self._joined(scores.softmax(dim=-1) @ value, x)
        near_key, near_value = self.keys(x).chunk(2, dim=1)
        near_key = near_key.unflatten(1, (self.heads, -1))
        near_key = functional.normalize(near_key, dim=2).flatten(1, 2)
        near_keys, near_values = (
            torch.stack([self._split(t) for t in zero_padded(tensor, _WINDOW)], dim=-1)
            for tensor in (near_key, near_value)
        )  # (b, heads, N, d, k)
        near = (query[..., None, :] @ near_keys)[..., 0, :] + self.near
        near = near.masked_fill(inside == 0, -torch.inf)
        weights = torch.cat([near, scores], dim=-1).softmax(dim=-1)
        near, far = weights[..., : _WINDOW**2], weights[..., _WINDOW**2 :]
        focused = near + unit @ self.tokens + self.shift
        return self._joined((near_values @ focused[..., None])[..., 0] + far @ value, x)

    def _split(self, x: Tensor) -> Tensor:
        """``(b, width, h, w)`` to ``(b, heads, h * w, d)``."""
        return x.unflatten(1, (self.heads, -1)).flatten(3).mT

    def _joined(self, found: Tensor, x: Tensor) -> Tensor:
        joined: Tensor = self.join(found.mT.flatten(1, 2).unflatten(2, x.shape[2:]))
        return joined


class ConvolutionalGlu(nn.Module):
    """The convolutional gated linear unit: ``W3 (GELU(DWConv(W1 x)) * W2 x)``.

    Args:
        width: channels.
        inner: channels of both ``W1 x`` and ``W2 x``.
    """

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.enter, self.leave = CellLinear(width, 2 * inner), CellLinear(inner, width)
        self.near = each_channel(inner, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the channels of ``(b, width, h, w)``."""
        gate, value = self.enter(x).chunk(2, dim=1)
        left: Tensor = self.leave(functional.gelu(self.near(gate)) * value)
        return left


class TransNext(Pyramid):
    """TransNeXt (Shi, 2024).

    A block is ``x + Attention(norm(x))``, then ``x + ConvGLU(norm(x))``; the map is pooled by 8, 4
    and 2 in the first three stages, and the last attends to all cells.

    Deviations: any resolution is accepted, with distances as at 224 pixels. No stochastic depth.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    layers: ClassVar[tuple[int, ...]] = (2, 2, 15, 2)
    width: ClassVar[int] = 72
    head: ClassVar[int] = 24
    expansions: ClassVar[tuple[int, ...]] = (8, 8, 4, 4)
    hidden: ClassVar[int] = 512

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        widths = [self.width * 2**number for number in range(4)]
        stages = []
        for number, (count, width) in enumerate(zip(self.layers, widths, strict=True)):
            first = Reduce(width // 2, width, 3, 2, 1) if number else Reduce(3, width, 7, 4, 3)
            made: list[nn.Module] = [first, ChannelNorm(width, eps=1e-5)]
            side, inner = _NATIVE // 2 ** (number + 2), 2 * self.expansions[number] * width // 3
            heads, ratio = width // self.head, 2 ** (3 - number)
            made += [
                Scaled(nn.Sequential(ChannelNorm(width), branch), width, None)
                for _ in range(count)
                for branch in (
                    AggregatedAttention(width, heads, ratio, self.hidden, side),
                    ConvolutionalGlu(width, inner),
                )
            ]
            stages.append(nn.Sequential(*made, ChannelNorm(width)))
        self.assemble(stages, widths, weights)


class TransNextTiny(TransNext):
    """The preset for small data: 0.4 M parameters. The paper's Tiny is `TransNextT`."""

    layers, width, head, expansions, hidden = (1, 1, 2, 1), 16, 8, (4, 4, 3, 3), 32


class TransNextMicro(TransNext):
    """12.8 M parameters with a classifier of 1,000 classes."""

    width = 48


class TransNextT(TransNext):
    """28.2 M parameters, counted likewise."""


class TransNextS(TransNext):
    """49.7 M parameters, counted likewise."""

    layers = (5, 5, 22, 5)


class TransNextB(TransNext):
    """89.7 M parameters, counted likewise."""

    layers, width = (5, 5, 23, 5), 96
