"""EfficientVMamba's scan skips cells, and what it costs grows linearly with the tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.backbones.efficientvmamba import (
    AtrousScan,
    EfficientVisualBlock,
    EfficientVMambaB,
    EfficientVMambaS,
    EfficientVMambaT,
    EfficientVMambaTiny,
)
from glocal.learn.blocks.chunked_scan import RouteScan, chunked_scan
from glocal.learn.blocks.selective_scan import ROUTES, selective_scan
from glocal.learn.cost import count_flops, largest_tensor
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use

CLAIM = Claim(
    measured="output of the atrous scan",
    baseline="the recurrence, cell by cell, on every other cell of every other row",
    unit="activation",
    comparison="=",
    margin=1e-9,
)
_PUBLISHED = {EfficientVMambaT: "6", EfficientVMambaS: "11", EfficientVMambaB: "33"}


def method(lab: Lab) -> Tensor:
    """The scan; how its cost grows, both branches, sizes and use."""
    layer, x = _given()
    small, large = torch.zeros(1, 4, 32, 32), torch.zeros(1, 4, 128, 128)
    scan = AtrousScan(4, 2)
    grown = count_flops(scan, large) / count_flops(scan, small)
    lab.check("operations of 16384 tokens in parts of 16 times those of 1024", grown / 16, "<", 1.1)
    stored = largest_tensor(lambda: scan(large)) / largest_tensor(lambda: scan(small))
    lab.check("largest tensor of 16384 tokens, likewise", stored / 16, "<", 1.01)
    given = [torch.rand(1, 2, 700).double(), *(torch.randn(1, 3, 700).double() for _ in range(2))]
    decay = -torch.rand(2, 3).double()
    once = selective_scan(given[0], given[0], decay, given[1], given[2])
    apart = float((chunked_scan(given[0], given[0], decay, given[1], given[2]) - once).abs().max())
    lab.check("deviation of the scan in chunks from the closed form, 700 cells", apart, "<", 1e-9)
    block, normed = EfficientVisualBlock(4, 2).eval(), torch.randn(1, 4, 6, 6)
    for name, branch in (("scan", block.scan), ("convolution", block.local)):
        lab.check(f"activation of the branch {name}", float(branch(normed).detach().abs().max()),
                  ">", 0)  # fmt: skip
    check_sizes(lab, _PUBLISHED)
    check_use(lab, EfficientVMambaTiny, steps=60)
    return layer.scanned(x)


def baseline(lab: Lab) -> Tensor:
    """``h = exp(step A) h + step B x``, ``y = C h + D x``, one cell after the other."""
    del lab
    layer, x = _given()
    height, width = x.shape[2:]
    found = torch.zeros_like(x)
    for number, (scan, route) in enumerate(zip(layer.scans, ROUTES, strict=True)):
        rows, columns = range(number // 2, height, 2), range(number % 2, width, 2)
        cells = [(row, column) for row in rows for column in columns]
        if route.startswith("columns"):
            cells = [(row, column) for column in columns for row in rows]
        if route.endswith("backwards"):
            cells.reverse()
        state = torch.zeros(*x.shape[:2], scan.state, dtype=x.dtype)  # type: ignore[call-overload]
        for row, column in cells:
            state, found[:, :, row, column] = _step(scan, state, x[:, :, row, column])
    return found


def _step(scan: RouteScan, state: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    chosen = cell @ scan.select.weight[:, :, 0].T
    low, into, out = chosen.split([scan.rank, scan.state, scan.state], dim=1)
    step = (low @ scan.step.weight[:, :, 0].T + scan.step.bias).exp().log1p()[:, :, None]
    state = (-step * scan.decay.exp()).exp() * state + step * into[:, None] * cell[:, :, None]
    return state, (state * out[:, None]).sum(dim=2) + scan.skip * cell


def _given() -> tuple[AtrousScan, Tensor]:
    layer = AtrousScan(3, 2).double().requires_grad_(False)
    return layer, torch.randn(2, 6, 6, 8, dtype=torch.float64)
