"""MS-MLP gathers shifted tokens from regions that grow with the shift, without attention."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.backbones.ms_mlp import SHIFTS, MixShift, MsMlp, MsMlpB, MsMlpS, MsMlpT, MsMlpTiny
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use

CLAIM = Claim(
    measured="output of mix-shift",
    baseline="output of a loop over cells and shifted neighbours",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """Mix-shift; how far each group and each depth sees, sizes and use."""
    layer, x = _given()
    published = MixShift(10, MsMlp.regions[0])
    regions = [_seen(mix, 2) for mix in published.across]
    for group in range(1, 5):
        what = f"cells mixed by group {group} less those of the group before"
        lab.check(what, regions[group] - regions[group - 1], ">", -1)
    lab.check("cells mixed by the farthest group", regions[-1], "=", 49)
    one, two = (torch.nn.Sequential(*(published for _ in range(n))) for n in (1, 2))
    grown = _seen(two, 10) / _seen(one, 10)
    lab.check("cells that two layers see, in parts of one layer's", grown, ">", 2)
    attentive = sum("ttention" in type(module).__name__ for module in MsMlpTiny().modules())
    lab.check("modules with attention", attentive, "=", 0)
    check_sizes(lab, {MsMlpT: "28", MsMlpS: "50", MsMlpB: "88"})
    check_use(lab, MsMlpTiny)
    return layer(x)


def baseline(lab: Lab) -> Tensor:
    """Gather each neighbour by itself; the shift wraps around, the region ends at the edges."""
    del lab
    layer, x = _given()
    batch, width, height, breadth = x.shape
    found = torch.zeros_like(x)
    for channel in range(width):
        group, within = channel // 2, channel % 2
        for across, convs in ((True, layer.across), (False, layer.down)):
            kernel, shift = convs[group].weight[within, 0], convs[group].bias
            half = len(kernel) // 2
            for y in range(height):
                for z in range(breadth):
                    total = shift[within].expand(batch).clone()
                    for i in range(max(0, y - half), min(height, y + half + 1)):
                        for j in range(max(0, z - half), min(breadth, z + half + 1)):
                            row = i if across else (i - SHIFTS[group]) % height
                            column = (j - SHIFTS[group]) % breadth if across else j
                            weight = kernel[i - y + half, j - z + half]
                            total += weight * x[:, channel, row, column]
                    found[:, channel, y, z] += total
    return found


def _seen(layers: torch.nn.Module, width: int) -> int:
    """How many cells have a gradient of the cell in the middle."""
    x = torch.randn(1, width, 25, 25, requires_grad=True)
    (gradient,) = torch.autograd.grad(layers(x)[0, :, 12, 12].sum(), x)
    return int((gradient[0].abs().sum(dim=0) > 0).sum())


def _given() -> tuple[MixShift, Tensor]:
    layer = MixShift(10, (1, 1, 3, 3, 5)).double().requires_grad_(False)
    return layer, torch.randn(2, 10, 6, 7, dtype=torch.float64)
