"""EfficientVMamba: a scan that skips cells beside a convolution, and convolutions alone late."""

from __future__ import annotations

import math
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
from glocal.learn.blocks.chunked_scan import RouteScan
from glocal.learn.blocks.selective_scan import ROUTES, along, back

SKIP = 2
"""Distance between the cells of one scan, along rows and columns"""
_FIRST = tuple((row, column) for row in range(SKIP) for column in range(SKIP))


class AtrousScan(nn.Module):
    """The efficient 2D scan (ES2D): each route visits every other cell of every other row.

    ``O = merge(scan_i(X[m::p, n::p]))``: the map is divided into ``p^2 = 4`` maps by skipping, each
    is scanned along one of the four routes, and the results return to where their cells were. All
    four scans together visit each cell once, where SS2D visits each cell four times.

    Args:
        width: channels.
        state: size of the state of each channel.
    """

    def __init__(self, width: int, state: int) -> None:
        super().__init__()
        inner = 2 * width
        self.enter = CellLinear(width, 2 * inner, bias=False)
        self.local = nn.Sequential(each_channel(inner, 3), nn.SiLU())
        rank = math.ceil(width / 16)
        self.scans = nn.ModuleList(RouteScan(inner, state, rank) for _ in ROUTES)
        self.norm = ChannelNorm(inner, eps=1e-5)
        self.leave = CellLinear(inner, width, bias=False)

    def scanned(self, x: Tensor) -> Tensor:
        """The four scans of ``(b, 2 width, h, w)``, each at the place of its cells."""
        height, width = x.shape[2:]
        beyond = (0, -width % SKIP, 0, -height % SKIP)
        x = nn.functional.pad(x, beyond)
        found = []
        for (row, column), scan, route in zip(_FIRST, self.scans, ROUTES, strict=True):
            part = x[:, :, row::SKIP, column::SKIP]
            found.append(back(scan(along(part, route)), route, *part.shape[2:]))
        # (b, c * 4, h / 2, w / 2), in the order of the places within 2x2 cells
        together = torch.stack(found, dim=2).flatten(1, 2)
        return nn.functional.pixel_shuffle(together, SKIP)[:, :, :height, :width]

    def forward(self, x: Tensor) -> Tensor:
        """Scan ``(b, width, h, w)``, weighed by a gate."""
        x, gate = self.enter(x).chunk(2, dim=1)
        scanned = self.norm(self.scanned(self.local(x)))
        left: Tensor = self.leave(scanned * nn.functional.silu(gate))
        return left


class ChannelGate(nn.Module):
    """Weights of the channels from the mean over the map, by two layers.

    Args:
        width: channels.
        inner: channels in between.
        active: activation between the layers.
        normed: whether the map is normalised before.
    """

    def __init__(self, width: int, inner: int, active: nn.Module, *, normed: bool) -> None:
        super().__init__()
        self.norm = ChannelNorm(width, eps=1e-5) if normed else nn.Identity()
        self.layers = nn.Sequential(
            nn.Conv2d(width, inner, 1), active, nn.Conv2d(inner, width, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Weigh ``(b, width, h, w)``."""
        weighed: Tensor = x * self.layers(self.norm(x).mean(dim=(2, 3), keepdim=True))
        return weighed


class EfficientVisualBlock(nn.Module):
    """The efficient visual state space block: ``x + SE(ES2D(norm(x))) + SE(Conv(norm(x)))``.

    Args:
        width: channels.
        state: size of the state of each channel.
    """

    def __init__(self, width: int, state: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.scan = AtrousScan(width, state)
        self.local = nn.Sequential(
            each_channel(width, 3), nn.BatchNorm2d(width), nn.GELU(), nn.Conv2d(width, width, 1)
        )
        # One gate weighs both branches, as in the authors' code.
        self.gate = ChannelGate(width, max(width // 8, 4), nn.GELU(), normed=True)

    def forward(self, x: Tensor) -> Tensor:
        """Add scan and convolution to ``(b, width, h, w)``."""
        normed = self.norm(x)
        found: Tensor = x + self.gate(self.scan(normed)) + self.gate(self.local(normed))
        return found


class EfficientVMamba(Pyramid):
    """EfficientVMamba (Pei, Huang and Xu, 2024).

    Two stages of `EfficientVisualBlock`, and two of inverted residuals with weights of channels.

    Deviations: the scan is computed in chunks (`glocal.learn.blocks.chunked_scan`), since the
    authors' kernel is for GPUs. The gate of the channels has at least 4 in between. No stochastic
    depth.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    layers: ClassVar[tuple[int, ...]] = (2, 2, 4, 2)
    width: ClassVar[int] = 48
    state: ClassVar[int] = 16

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        widths = [self.width * 2**number for number in range(4)]
        stages, before = [], 3
        for number, (count, width) in enumerate(zip(self.layers, widths, strict=True)):
            side = 2 if number else 4
            made: list[nn.Module] = [
                Reduce(before, width, side, side),
                ChannelNorm(width, eps=1e-5),
            ]
            made += [
                EfficientVisualBlock(width, self.state)
                if number < 2
                else Scaled(_inverted(width), width, None)
                for _ in range(count)
            ]
            stages.append(nn.Sequential(*made))
            before = width
        stages[-1].append(ChannelNorm(before, eps=1e-5))
        self.assemble(stages, widths, weights)


class EfficientVMambaTiny(EfficientVMamba):
    """The preset for small data: 0.4 M parameters. The paper's T is `EfficientVMambaT`."""

    layers, width, state = (1, 1, 2, 1), 16, 2


class EfficientVMambaT(EfficientVMamba):
    """6 M parameters with a classifier of 1,000 classes."""


class EfficientVMambaS(EfficientVMamba):
    """11 M parameters, counted likewise. The authors' settings say 96 channels, which is more."""

    width = 64


class EfficientVMambaB(EfficientVMamba):
    """33 M parameters, counted likewise."""

    layers, width = (2, 2, 9, 2), 96


def _inverted(width: int) -> nn.Sequential:
    wide = 4 * width
    return nn.Sequential(
        nn.Conv2d(width, wide, 1, bias=False),
        nn.BatchNorm2d(wide),
        nn.ReLU(),
        each_channel(wide, 3, bias=False),
        nn.BatchNorm2d(wide),
        nn.ReLU(),
        ChannelGate(wide, wide // 8, nn.ReLU(), normed=False),
        nn.Conv2d(wide, width, 1, bias=False),
        nn.BatchNorm2d(width),
    )
