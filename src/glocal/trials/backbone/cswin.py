"""CSWin attends within crosses at any resolution, and LePE adds what is near."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from glocal.learn.backbones.cswin import (
    CrossShapedAttention,
    CsWinB,
    CsWinL,
    CsWinS,
    CsWinT,
    CsWinTiny,
)
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use

CLAIM = Claim(
    measured="output of cross-shaped attention, on a map that its stripes do not divide",
    baseline="output of a loop over the cells, each attending to its stripe, with LePE added",
    unit="activation",
    comparison="=",
    margin=1e-9,
)
_PUBLISHED = {CsWinT: "23", CsWinS: "35", CsWinB: "78", CsWinL: "173"}


def method(lab: Lab) -> Tensor:
    """The attention; what a cell sees, several resolutions, sizes and use."""
    layer, x = _given()
    wide = CrossShapedAttention(8, 2, 1)
    image = torch.randn(1, 8, 9, 12, requires_grad=True)
    (gradient,) = torch.autograd.grad(wide(image)[0, :, 4, 5].square().sum(), image)
    # A row and a column, and four cells more at the corners of the 3x3 kernel.
    cells = int((gradient[0].abs().sum(dim=0) > 0).sum())
    lab.check("cells that one cell sees with stripes of one cell", cells, "=", 9 + 12 - 1 + 4)
    trunk = CsWinTiny().eval()
    with torch.no_grad():
        for height, width in ((32, 32), (64, 160), (224, 96)):
            found = trunk(torch.rand(1, 3, height, width))[-1]
            what = f"cells of the last map for an image of {width}x{height} pixels"
            lab.check(what, int(found[0, 0].isfinite().sum()), "=", height * width // 1024)
    check_sizes(lab, _PUBLISHED)
    check_use(lab, CsWinTiny, steps=60)
    return layer(x)


def baseline(lab: Lab) -> Tensor:
    """One cell of one head at a time."""
    del lab
    layer, x = _given()
    height, width = x.shape[2:]
    query, key, value = layer.project(x).unflatten(1, (3, layer.heads, -1)).unbind(dim=1)
    found = torch.zeros_like(value)
    for head in range(layer.heads):
        for row in range(height):
            for column in range(width):
                if head < layer.heads // 2:
                    first = column // layer.stripe * layer.stripe
                    seen = (..., slice(None), slice(first, first + layer.stripe))
                else:
                    first = row // layer.stripe * layer.stripe
                    seen = (..., slice(first, first + layer.stripe), slice(None))
                keys, values = (t[:, head][seen].flatten(2) for t in (key, value))
                scores = torch.einsum("bd,bdk->bk", query[:, head, :, row, column], keys)
                weights = (scores / keys.shape[1] ** 0.5).softmax(dim=1)
                found[:, head, :, row, column] = torch.einsum("bk,bdk->bd", weights, values)
    near = functional.conv2d(value.flatten(1, 2), layer.position.weight, layer.position.bias,
                             padding=1, groups=x.shape[1])  # fmt: skip
    return layer.join(found.flatten(1, 2) + near)


def _given() -> tuple[CrossShapedAttention, Tensor]:
    layer = CrossShapedAttention(8, 4, 3).double().requires_grad_(False)
    return layer, torch.randn(2, 8, 5, 7, dtype=torch.float64)
