"""With dilation, neighbourhood attention sees farther at the same counted cost."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glocal.learn.backbones.dinat import (
    DilatedAttention,
    DiNatB,
    DiNatMini,
    DiNatS,
    DiNatT,
    DiNatTiny,
)
from glocal.learn.cost import count_flops, count_parameters, largest_tensor
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use

CLAIM = Claim(
    measured="side of what two layers see by their gradient, the second with dilation 4",
    baseline="side of what two layers without dilation see",
    unit="cells",
    comparison=">",
    margin=5.0,
)
_PUBLISHED = {DiNatMini: "20", DiNatT: "28", DiNatS: "51", DiNatB: "90"}


def method(lab: Lab) -> float:
    """Alternating plain and dilated attention; its cost, the law of its reach, sizes and use."""
    plain, dilated = _layers(1, 1), _layers(1, 4)
    x = torch.randn(1, 8, 12, 16)
    lab.check("operations in parts of those without dilation",
              count_flops(dilated, x) / count_flops(plain, x), "=", 1)  # fmt: skip
    lab.check("parameters in parts", count_parameters(dilated) / count_parameters(plain), "=", 1)
    largest = [largest_tensor(lambda layers=layers: layers(x)) for layers in (dilated, plain)]
    lab.check("largest tensor in parts", largest[0] / largest[1], "=", 1)
    for dilations in ((2,), (1, 2), (1, 2, 4)):
        what = f"side seen with dilations {dilations}, less 1 and twice their sum"
        lab.check(what, _side(_layers(*dilations)) - 1 - 2 * sum(dilations), "=", 0)
    layer = DilatedAttention(8, 2, 3, 2).double().eval()
    given = torch.randn(1, 8, 7, 9, dtype=torch.float64)
    apart = float((layer(given) - _loop(layer, given)).detach().abs().max())
    lab.check("deviation from a loop over the cells", apart, "<", 1e-9)
    check_sizes(lab, _PUBLISHED)
    check_use(lab, DiNatTiny, steps=60)
    return _side(dilated)


def baseline(lab: Lab) -> float:
    """Neighbourhood attention alone."""
    del lab
    return _side(_layers(1, 1))


def _layers(*dilations: int) -> nn.Sequential:
    return nn.Sequential(*(DilatedAttention(8, 2, 3, dilation) for dilation in dilations))


def _side(layers: nn.Module) -> float:
    """Rows from the first to the last that have a gradient of the cell in the middle."""
    x = torch.randn(1, 8, 33, 33, requires_grad=True)
    (gradient,) = torch.autograd.grad(layers(x)[0, :, 16, 16].square().sum(), x)
    rows = gradient[0].abs().sum(dim=(0, 2)).nonzero()[:, 0]
    return float(rows.max() - rows.min()) + 1


def _loop(layer: DilatedAttention, x: Tensor) -> Tensor:
    """Each cell chooses the nearest of its group, in the order of rows, and attends to them."""
    height, width = x.shape[2:]
    split = layer.project(x).unflatten(1, (3, layer.heads, -1))[0]
    found = torch.zeros(layer.heads, split.shape[2], height, width, dtype=x.dtype)
    for row in range(height):
        for column in range(width):
            rows = _nearest(row, height, layer.kernel, layer.dilation)
            columns = _nearest(column, width, layer.kernel, layer.dilation)
            cells = [(i, j) for i in rows for j in columns]
            keys, values = (
                torch.stack([split[part, :, :, i, j] for i, j in cells], dim=1) for part in (1, 2)
            )
            apart = [((i - row) // layer.dilation, (j - column) // layer.dilation)
                     for i, j in cells]  # fmt: skip
            bias = torch.stack(
                [layer.bias[:, i + layer.kernel - 1, j + layer.kernel - 1] for i, j in apart], dim=1
            )
            query = split[0, :, :, row, column, None] / split.shape[2] ** 0.5
            weights = ((keys @ query)[..., 0] + bias).softmax(dim=1)
            found[:, :, row, column] = (weights[:, None] @ values)[:, 0]
    return layer.join(found.flatten(0, 1)[None])


def _nearest(place: int, side: int, kernel: int, dilation: int) -> list[int]:
    group = range(place % dilation, side, dilation)
    windows = [group[n : n + kernel] for n in range(max(1, len(group) - kernel + 1))]
    return list(min(windows, key=lambda w: (abs(w[len(w) // 2] - place), w[0])))
