"""DiNAT: cells attend to their nearest neighbours, in every other block with gaps between them."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.learn.backbones.pyramid import CellLinear, ChannelNorm, Pyramid, Reduce, Scaled


class Neighbours:
    """For each place of a side of a map, the ``kernel`` nearest places of its dilation group.

    Places are in the same group if they are a multiple of ``dilation`` apart. Near the ends, the
    window stays inside, so that it keeps its number of places; in groups that are shorter than the
    window, all of the group's places are in it.

    Args:
        side: cells along the side.
        kernel: places in a window, an odd number.
        dilation: gap between them.
        device: where the tensors are made.

    Attributes:
        places: ``(side, kernel)`` int64, those that are missing set to the last place.
        missing: ``(side, kernel)`` bool.
        apart: ``(side, kernel)`` int64, how many steps of the group a place is away, plus
            ``kernel - 1``: from 0 to ``2 kernel - 2``.
    """

    def __init__(self, side: int, kernel: int, dilation: int, device: torch.device) -> None:
        place = torch.arange(side, device=device)
        group = place % dilation
        step = torch.div(place, dilation, rounding_mode="floor")
        length = torch.div(side - group + dilation - 1, dilation, rounding_mode="floor")
        start = torch.minimum(step - kernel // 2, length - kernel).clamp(min=0)
        steps = start[:, None] + torch.arange(kernel, device=device)
        self.missing = steps >= length[:, None]
        self.places = (group[:, None] + dilation * steps).clamp(max=side - 1)
        self.apart = (steps - step[:, None] + kernel - 1).clamp(0, 2 * kernel - 2)


class DilatedAttention(nn.Module):
    """Dilated neighbourhood attention, ``softmax(Q_i K^T / sqrt(d) + B) V`` over neighbours of i.

    The neighbours ``rho_j(i)`` are the ``k x k`` cells nearest to ``i`` among those whose row and
    column are a multiple of the dilation away; ``B`` is a learned number for each distance.

    Args:
        width: channels.
        heads: number of heads.
        kernel: ``k``, an odd number.
        dilation: gap between neighbours; 1 is neighbourhood attention.
    """

    def __init__(self, width: int, heads: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.heads, self.kernel, self.dilation = heads, kernel, dilation
        self.project, self.join = CellLinear(width, 3 * width), CellLinear(width, width)
        self.bias = nn.Parameter(torch.zeros(heads, 2 * kernel - 1, 2 * kernel - 1))
        nn.init.trunc_normal_(self.bias, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Attend to the neighbours in ``(b, width, h, w)``."""
        height, width = x.shape[2:]
        down, across = (
            Neighbours(side, self.kernel, self.dilation, x.device) for side in (height, width)
        )
        split = self.project(x).unflatten(1, (3, self.heads, -1))
        query, key, value = split.permute(1, 0, 2, 4, 5, 3)  # each (b, heads, h, w, d)
        key, value = (_gathered(tensor, down.places, across.places) for tensor in (key, value))
        scores = (key @ query[..., None])[..., 0] * query.shape[-1] ** -0.5
        bias = self.bias[:, down.apart[:, None, :, None], across.apart[None, :, None, :]]
        missing = down.missing[:, None, :, None] | across.missing[None, :, None, :]
        scores = (scores + bias.flatten(3)).masked_fill(missing.flatten(2), -torch.inf)
        found = (scores.softmax(dim=-1)[..., None, :] @ value)[..., 0, :]
        joined: Tensor = self.join(found.permute(0, 1, 4, 2, 3).flatten(1, 2))
        return joined


class DiNat(Pyramid):
    """The dilated neighbourhood attention transformer (Hassani and Shi, 2022).

    A block is ``x + Attention(norm(x))`` and then ``x + MLP(norm(x))``. Every other block of a
    stage has a dilation, so that local and sparse global attention take turns.

    Deviations: neighbours are gathered, where the authors have kernels for GPUs. Maps that are
    smaller than a window are attended to as far as they reach, where the authors pad them. No
    stochastic depth.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    layers: ClassVar[tuple[int, ...]] = (3, 4, 18, 5)
    dilations: ClassVar[tuple[int, ...]] = (8, 4, 2, 1)
    width: ClassVar[int] = 64
    heads: ClassVar[int] = 2
    expansion: ClassVar[int] = 3
    kernel: ClassVar[int] = 7
    start: ClassVar[float | None] = None

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        widths = [self.width * 2**number for number in range(4)]
        stages = []
        for number, (count, width) in enumerate(zip(self.layers, widths, strict=True)):
            made = _smaller(widths[number - 1], width) if number else _stem(width)
            for block in range(count):
                dilation = self.dilations[number] if block % 2 else 1
                made += self._block(width, self.heads * 2**number, dilation)
            stages.append(nn.Sequential(*made))
        stages[-1].append(ChannelNorm(widths[-1], eps=1e-5))
        self.assemble(stages, widths, weights)

    def _block(self, width: int, heads: int, dilation: int) -> list[nn.Module]:
        attention = DilatedAttention(width, heads, self.kernel, dilation)
        inner = self.expansion * width
        perceptron = (CellLinear(width, inner), nn.GELU(), CellLinear(inner, width))
        return [
            Scaled(nn.Sequential(ChannelNorm(width, eps=1e-5), *layers), width, self.start)
            for layers in ((attention,), perceptron)
        ]


class DiNatTiny(DiNat):
    """The preset for small data: 0.3 M parameters. The paper's DiNAT-Tiny is `DiNatT`."""

    layers, dilations, width, kernel, expansion = (2, 2, 2, 1), (4, 2, 1, 1), 16, 3, 2


class DiNatMini(DiNat):
    """20 M parameters with a classifier of 1,000 classes."""

    layers = (3, 4, 6, 5)


class DiNatT(DiNat):
    """28 M parameters, counted likewise."""


class DiNatS(DiNat):
    """51 M parameters, counted likewise."""

    width, heads, expansion, start = 96, 3, 2, 1e-5


class DiNatB(DiNat):
    """90 M parameters, counted likewise."""

    width, heads, expansion, start = 128, 4, 2, 1e-5


def _gathered(x: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """The neighbours of ``(b, heads, h, w, d)``, ``(b, heads, h, w, k * k, d)``."""
    # Two selections have a much faster gradient than one by pairs of indices.
    rows = x.index_select(2, down.flatten()).unflatten(2, down.shape)
    both = rows.index_select(4, across.flatten()).unflatten(4, across.shape)
    return both.transpose(3, 4).flatten(4, 5)


def _stem(width: int) -> list[nn.Module]:
    half = Reduce(3, width // 2, 3, 2, 1)
    return [half, Reduce(width // 2, width, 3, 2, 1), ChannelNorm(width, eps=1e-5)]


def _smaller(width: int, out: int) -> list[nn.Module]:
    return [Reduce(width, out, 3, 2, 1, bias=False), ChannelNorm(out, eps=1e-5)]
