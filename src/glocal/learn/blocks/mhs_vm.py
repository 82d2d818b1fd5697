"""MHS-VM: selective scans on several routes, each in a subspace of its own."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.blocks.selective_scan import ROUTES, along, back, selective_scan
from glocal.learn.contracts import Block, Role


class MultiHeadScan(Block):
    """The multi-head scan module (Ji, 2024).

    The features are projected into one subspace for each scan route, of ``width / routes``
    channels. In each the cells are scanned along its route (`glocal.learn.blocks.selective_scan`),
    the results are weighted by scan route attention, joined, and projected back. Vision Mamba's
    SS2D scans all channels on every route, each with parameters of its own.

    Deviations: scan route attention is a softmax over the routes, for each cell, from one 1x1
    convolution of the joined results, times the number of routes; of the paper's several route
    patterns it has rows and columns, forwards and backwards.

    Args:
        width: channels; the number of routes divides them.
        out: as `width`.
        stride: 1.
        state: size ``n`` of the state of each channel.

    Raises:
        LearnError: the number of routes does not divide the channels.
    """

    role: ClassVar[Role] = "mixer"
    fixed_size: ClassVar[bool] = True

    def __init__(
        self, width: int, *, out: int | None = None, stride: int = 1, state: int = 4
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        if width % len(ROUTES):
            raise LearnError(
                f"{len(ROUTES)} scan routes do not divide {width} channels; use a multiple"
            )
        self.project = nn.Conv2d(width, width, 1)
        self.scans = nn.ModuleList(Scan(width // len(ROUTES), state) for _ in ROUTES)
        self.attend = nn.Conv2d(width, len(ROUTES), 1)
        self.join = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scan every subspace along its route."""
        height, width = x.shape[2:]
        parts = self.project(x).chunk(len(ROUTES), dim=1)
        found = [
            back(scan(along(part, route)), route, height, width)
            for scan, part, route in zip(self.scans, parts, ROUTES, strict=True)
        ]
        attention = self.attend(torch.cat(found, dim=1)).softmax(dim=1) * len(ROUTES)
        weighted = [part * attention[:, n : n + 1] for n, part in enumerate(found)]
        mixed: Tensor = self.join(torch.cat(weighted, dim=1))
        return mixed


class Scan(nn.Module):
    """A selective scan whose step, ``B`` and ``C`` depend on the sequence.

    Args:
        width: channels.
        state: size of the state of each channel.
    """

    def __init__(self, width: int, state: int) -> None:
        super().__init__()
        self.state = state
        rank = max(1, width // 16)
        self.select = nn.Conv1d(width, rank + 2 * state, 1, bias=False)
        self.step = nn.Conv1d(rank, width, 1)
        self.decay = nn.Parameter(torch.arange(1, state + 1).float().log().repeat(width, 1))
        self.skip = nn.Parameter(torch.ones(width))
        nn.init.constant_(self.step.bias, -3.0)  # type: ignore[arg-type]

    def given(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Step, decay, ``B`` and ``C`` of a sequence; see `selective_scan`."""
        low, into, out = self.select(x).split_with_sizes(
            [self.step.in_channels, self.state, self.state], dim=1
        )
        return functional.softplus(self.step(low)), -self.decay.exp(), into, out

    def forward(self, x: Tensor) -> Tensor:
        """Scan ``(b, width, l)``."""
        step, decay, into, out = self.given(x)
        return selective_scan(x, step, decay, into, out) + self.skip[:, None] * x
