"""Scan routes in subspaces need fewer parameters than SS2D, which scans all on every route."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glocal.learn.blocks.mhs_vm import MultiHeadScan, Scan
from glocal.learn.blocks.selective_scan import ROUTES, along, back, selective_scan
from glocal.learn.cost import count_parameters
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains, count_blocks

CLAIM = Claim(
    measured="parameters of the multi-head scan module",
    baseline="parameters of an SS2D with the same routes and projections",
    unit="per cent of SS2D's parameters",
    comparison="<",
    margin=20.0,
    seeds=3,
)


def method(lab: Lab) -> float:
    """Parameters; the scan equals its recurrence; it replaces convolutions and trains."""
    width = _width(lab)
    scan = Scan(8, 4).double()
    sequence = torch.randn(2, 8, 20, dtype=torch.float64)
    given = scan.given(sequence)
    apart = float((selective_scan(sequence, *given) - _recurrence(sequence, *given)).abs().max())
    lab.check("largest deviation of the scan from the recurrence", apart, "<", 1e-9)
    trunk = graft(SmallResidual(), "mixer", MultiHeadScan, stages=[1, 2])
    lab.check("convolutions replaced", count_blocks(trunk, MultiHeadScan), "=", 4)
    check_trains(lab, trunk)
    return 100 * count_parameters(MultiHeadScan(width)) / count_parameters(_Ss2d(width))


def baseline(lab: Lab) -> float:
    """Parameters of SS2D, in parts of themselves."""
    return 100 * count_parameters(_Ss2d(_width(lab))) / count_parameters(_Ss2d(_width(lab)))


def _width(lab: Lab) -> int:
    return 16 * (1 + lab.seed % 7)


def _recurrence(x: Tensor, step: Tensor, decay: Tensor, into: Tensor, out: Tensor) -> Tensor:
    """The recurrence, one place after the other."""
    held = torch.zeros(*x.shape[:2], decay.shape[1], dtype=x.dtype)
    found = []
    for place in range(x.shape[-1]):
        one = step[:, :, place, None]
        held = (one * decay).exp() * held + one * into[:, None, :, place] * x[:, :, place, None]
        found.append((held * out[:, None, :, place]).sum(dim=-1))
    return torch.stack(found, dim=-1)


class _Ss2d(nn.Module):
    """Vision Mamba's SS2D: every route scans all channels, and the results are summed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project, self.join = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.scans = nn.ModuleList(Scan(width, 4) for _ in ROUTES)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        given = self.project(x)
        scanned = [
            back(scan(along(given, route)), route, height, width)
            for scan, route in zip(self.scans, ROUTES, strict=True)
        ]
        return self.join(torch.stack(scanned).sum(dim=0))
