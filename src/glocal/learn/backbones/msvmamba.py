"""MSVMamba: one scan of the whole map, three of a map that is half as high and wide."""

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
from glocal.learn.blocks.chunked_scan import RouteScan
from glocal.learn.blocks.selective_scan import ROUTES, along, back


class MultiScaleScan(nn.Module):
    """The multi-scale 2D scan (MS2D).

    ``Y = SS_1(rows of X) + up(sum of SS_2 over the three other routes of Z)``, where ``X`` is the
    map after a 3x3 kernel of each channel, and ``Z``, half as high and wide, after a 7x7 kernel of
    stride 2. The three routes share their parameters. Four full scans visit ``4 h w`` cells, these
    visit ``1.75 h w``.

    Args:
        width: channels of the map that is scanned.
        state: size of the state of each channel.
        rank: rank of the projection to the steps.
    """

    def __init__(self, width: int, state: int, rank: int) -> None:
        super().__init__()
        self.near = nn.Sequential(each_channel(width, 3), nn.SiLU())
        self.wide = nn.Sequential(nn.Conv2d(width, width, 7, 2, 3, groups=width), nn.SiLU())
        self.scans = nn.ModuleList(RouteScan(width, state, rank) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Scan ``(b, width, h, w)``."""
        full, half = self.near(x), self.wide(x)
        fine, coarse = self.scans
        found = back(fine(along(full, ROUTES[0])), ROUTES[0], *full.shape[2:])
        far = [back(coarse(along(half, r)), r, *half.shape[2:]) for r in ROUTES[1:]]
        summed = torch.stack(far).sum(dim=0)
        return found + functional.interpolate(summed, x.shape[2:], mode="bilinear")


class ScanBranch(nn.Module):
    """The scan between two projections, with a gate and weights of channels.

    Args:
        width: channels.
        state: size of the state of each channel.
    """

    def __init__(self, width: int, state: int) -> None:
        super().__init__()
        inner = 2 * width
        self.enter = CellLinear(width, 2 * inner, bias=False)
        self.scan = MultiScaleScan(inner, state, math.ceil(width / 16))
        self.norm = ChannelNorm(inner, eps=1e-5)
        self.weigh = nn.Sequential(
            nn.Linear(inner, inner // 8, bias=False),
            nn.ReLU(),
            nn.Linear(inner // 8, inner, bias=False),
            nn.Sigmoid(),
        )
        self.leave = CellLinear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scan ``(b, width, h, w)``."""
        x, gate = self.enter(x).chunk(2, dim=1)
        x = self.norm(self.scan(x))
        x = x * self.weigh(x.mean(dim=(2, 3)))[:, :, None, None]
        left: Tensor = self.leave(x * functional.silu(gate))
        return left


class ConvolutionalPerceptron(nn.Module):
    """The convolutional feed-forward network: ``W2 GELU(y + DWConv(y))`` with ``y = W1 x``.

    Args:
        width: channels; twice as many in between.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter, self.leave = nn.Conv2d(width, 2 * width, 1), nn.Conv2d(2 * width, width, 1)
        self.near = each_channel(2 * width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the channels of ``(b, width, h, w)``."""
        y = self.enter(x)
        left: Tensor = self.leave(functional.gelu(y + self.near(y)))
        return left


class Merging(nn.Module):
    """Patch merging: the channels of 2x2 cells are normalised together, then projected to twice.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(4 * width, eps=1e-5)
        self.project = Reduce(width, 2 * width, 2, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """From ``(b, width, h, w)`` to ``(b, 2 width, h / 2, w / 2)``."""
        normed = self.norm(functional.pixel_unshuffle(x, 2))
        merged: Tensor = self.project(functional.pixel_shuffle(normed, 2))
        return merged


class MsVMamba(Pyramid):
    """Multi-Scale VMamba (Shi, Dong and Xu, 2024).

    A block is ``x + Scan(norm(x))``, then ``x + ConvFFN(norm(x))``.

    Deviations: the scan is computed in chunks (`glocal.learn.blocks.chunked_scan`), since the
    authors' kernel is for GPUs; the three routes of the smaller map are scanned one by one, where
    the authors' code joins them to one sequence. No stochastic depth.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    layers: ClassVar[tuple[int, ...]] = (1, 2, 5, 2)
    width: ClassVar[int] = 48
    state: ClassVar[int] = 1

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        widths = [self.width * 2**number for number in range(4)]
        stages = []
        for number, (count, width) in enumerate(zip(self.layers, widths, strict=True)):
            made: list[nn.Module] = (
                [Merging(width // 2)]
                if number
                else [Reduce(3, width, 4, 4), ChannelNorm(width, eps=1e-5)]
            )
            made += [
                Scaled(nn.Sequential(ChannelNorm(width), branch), width, None)
                for _ in range(count)
                for branch in (ScanBranch(width, self.state), ConvolutionalPerceptron(width))
            ]
            stages.append(nn.Sequential(*made))
        stages[-1].append(ChannelNorm(widths[-1], eps=1e-5))
        self.assemble(stages, widths, weights)


class MsVMambaTiny(MsVMamba):
    """The preset for small data: 0.4 M parameters. The paper's Tiny is `MsVMambaT`."""

    layers, width = (1, 1, 2, 1), 16


class MsVMambaNano(MsVMamba):
    """7 M parameters with a classifier of 1,000 classes."""


class MsVMambaMicro(MsVMamba):
    """12 M parameters, counted likewise."""

    width = 64


class MsVMambaT(MsVMamba):
    """33 M parameters, counted likewise."""

    layers, width = (1, 2, 9, 2), 96
