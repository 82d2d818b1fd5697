"""MSVMamba scans at two scales, visits fewer cells than four full scans, and trains."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.msvmamba import (
    ConvolutionalPerceptron,
    MsVMambaMicro,
    MsVMambaNano,
    MsVMambaT,
    MsVMambaTiny,
    MultiScaleScan,
)
from glocal.learn.blocks.chunked_scan import RouteScan
from glocal.learn.blocks.selective_scan import ROUTES, along, back
from glocal.learn.cost import count_flops
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use

CLAIM = Claim(
    measured="operations of the scans of the multi-scale scan",
    baseline="operations of four scans of the whole map, as VMamba has them",
    unit="operations a cell",
    comparison="<",
    margin=100.0,
    seeds=3,
)
_PUBLISHED = {MsVMambaNano: "7", MsVMambaMicro: "12", MsVMambaT: "33"}


def method(lab: Lab) -> float:
    """Count the scans of a map whose size depends on the seed; both scales, sizes and use."""
    layer = MultiScaleScan(6, 2, 1).double()
    x = torch.randn(2, 6, 8, 10, dtype=torch.float64)
    full, half = layer.near(x), layer.wide(x)
    lab.check("cells of the smaller map in parts", half[0, 0].numel() / full[0, 0].numel(), "=",
              0.25)  # fmt: skip
    far = sum(
        back(layer.scans[1](along(half, route)), route, *half.shape[2:]) for route in ROUTES[1:]
    )
    rows = back(layer.scans[0](along(full, "rows")), "rows", *full.shape[2:])
    both = rows + functional.interpolate(far, scale_factor=2.0, mode="bilinear")
    apart = float((layer(x) - both).detach().abs().max())
    lab.check("deviation from the sum of both scales", apart, "<", 1e-9)
    unit = ConvolutionalPerceptron(6).double()
    image = torch.randn(1, 6, 7, 7, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(unit(image)[0, :, 3, 3].sum(), image)
    seen = int((gradient[0].abs().sum(dim=0) > 0).sum())
    lab.check("cells that the convolutional FFN sees", seen, "=", 9)
    check_sizes(lab, _PUBLISHED)
    check_use(lab, MsVMambaTiny, steps=60)
    whole, parts = _sequence(lab), MultiScaleScan(16, 2, 1).scans
    quarter = whole[..., : whole.shape[-1] // 4]
    return (count_flops(parts[0], whole) + 3 * count_flops(parts[1], quarter)) / whole.shape[-1]


def baseline(lab: Lab) -> float:
    """Count four scans."""
    whole, scans = _sequence(lab), nn.ModuleList(RouteScan(16, 2, 1) for _ in ROUTES)
    return sum(count_flops(scan, whole) for scan in scans) / whole.shape[-1]


def _sequence(lab: Lab) -> Tensor:
    side = 32 + 16 * (lab.seed % 3)
    return torch.zeros(1, 16, side * side)
