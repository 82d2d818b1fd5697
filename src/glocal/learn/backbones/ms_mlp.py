"""MS-MLP: groups of channels are shifted, and mixed the more widely the farther they come from."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.learn.backbones.pyramid import (
    CellLinear,
    ChannelNorm,
    Pyramid,
    Reduce,
    Scaled,
    each_channel,
)

SHIFTS = (-2, -1, 0, 1, 2)
"""Shift of each group of channels, in cells; what leaves the map on one side enters on the other"""


class MixShift(nn.Module):
    """Mix and shift tokens along rows and along columns.

    Channels are divided into five groups. Group ``g`` is shifted by ``s_g`` cells and mixed in a
    region of ``k_g x k_g`` cells by a kernel of each channel, once shifted along rows and once
    along columns; both are added: ``y_g = D_g * S_rows(x_g, s_g) + E_g * S_columns(x_g, s_g)``.

    Args:
        width: channels.
        regions: side ``k_g`` of the region of each group.
    """

    def __init__(self, width: int, regions: tuple[int, ...]) -> None:
        super().__init__()
        groups = [len(group) for group in torch.arange(width).chunk(len(SHIFTS))]
        self.groups = groups
        self.across = nn.ModuleList(map(each_channel, groups, regions))
        self.down = nn.ModuleList(map(each_channel, groups, regions))

    def forward(self, x: Tensor) -> Tensor:
        """Mix the cells of ``(b, width, h, w)``."""
        found = [
            across(group.roll(shift, 3)) + down(group.roll(shift, 2))
            for group, shift, across, down in zip(
                x.split_with_sizes(self.groups, 1), SHIFTS, self.across, self.down, strict=True
            )
        ]
        return torch.cat(found, dim=1)


class MsMlp(Pyramid):
    """Mix-Shift-MLP (Zheng, He, Chen and Zhou, 2022).

    A block is ``x + gamma MLP(norm(MixShift(x)))`` with a perceptron of two layers for each cell.
    There is no attention; what a cell sees grows with the regions of the groups and the depth.

    Deviations: as in the authors' code, groups are shifted before they are mixed, which is the same
    as mixing first, save at the edges. The last normalisation is on the map, not on its mean; no
    stochastic depth. The factors ``gamma`` start at 1e-6, and at 0.1 in the tiny preset. In widths
    that five does not divide, the last group is smaller, which shifts the middle of receptive
    fields by a small part of a cell; levels do not tell of it.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    layers: ClassVar[tuple[int, ...]]
    width: ClassVar[int] = 96
    regions: ClassVar[tuple[tuple[int, ...], ...]] = (
        (1, 1, 3, 5, 7),
        (1, 3, 3, 5, 7),
        (1, 5, 5, 5, 7),
        (1, 7, 7, 7, 7),
    )
    start: ClassVar[float] = 1e-6

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        stages, before = [], 3
        widths = [self.width * 2**number for number in range(4)]
        for number, (count, width) in enumerate(zip(self.layers, widths, strict=True)):
            side = 2 if number else 4
            made: list[nn.Module] = [Reduce(before, width, side, side), ChannelNorm(width)]
            for _ in range(count):
                layers = nn.Sequential(
                    MixShift(width, self.regions[number]),
                    ChannelNorm(width),
                    CellLinear(width, 4 * width),
                    nn.GELU(),
                    CellLinear(4 * width, width),
                )
                made.append(Scaled(layers, width, self.start))
            stages.append(nn.Sequential(*made))
            before = width
        stages[-1].append(ChannelNorm(before))
        self.assemble(stages, widths, weights)


class MsMlpTiny(MsMlp):
    """The preset for small data: 0.2 M parameters."""

    layers, width, start = (1, 1, 2, 1), 15, 0.1


class MsMlpT(MsMlp):
    """29 M parameters (the paper says 28 M) with a classifier of 1,000 classes."""

    layers = (3, 3, 9, 3)


class MsMlpS(MsMlp):
    """50 M parameters, counted likewise."""

    layers = (3, 3, 27, 3)


class MsMlpB(MsMlp):
    """88 M parameters, counted likewise."""

    layers, width = (3, 3, 27, 3), 128
