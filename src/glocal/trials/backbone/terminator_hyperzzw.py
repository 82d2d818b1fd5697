"""Coordinate networks make kernels of the map's size that depend on the image; nothing is added."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glocal.learn.backbones.terminator import GlobalOperator, SlowFastBlock, TerminatorTiny
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_use

CLAIM = Claim(
    measured="output of the global operator",
    baseline="output of a loop over places that asks the coordinate network for each alone",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """The operator; its kernels, the missing residual link, training, export and search."""
    operator, z = _given()
    if lab.seed == 0:
        for height, width in ((5, 7), (9, 4)):
            kernel = operator.kernel(torch.randn(2, 6, height, width, dtype=z.dtype))
            lab.check(f"places of the kernel for a map of {height}x{width}",
                      math.prod(kernel.shape[2:]), "=", height * width)  # fmt: skip
            change = float((kernel[0] - kernel[1]).abs().max() / kernel.abs().max())
            lab.check("change of the kernel between two images", change, ">", 0.1)
        lab.check("what passes a block beside its branches", _beside(), "=", 0)
        check_use(lab, TerminatorTiny)
    return operator(z)


def baseline(lab: Lab) -> Tensor:
    """One place after another."""
    del lab
    operator, z = _given()
    found = torch.empty_like(z)
    for row in range(5):
        for column in range(7):
            place = torch.tensor(
                [(2 * row + 1) / 5 - 1, (2 * column + 1) / 7 - 1], dtype=torch.float64
            )
            found[:, :, row, column] = z[:, :, row, column] ** 2 * operator.slow.at(place)
    return found


def _given() -> tuple[GlobalOperator, Tensor]:
    operator = GlobalOperator(6).double().requires_grad_(False)
    return operator, torch.randn(2, 6, 5, 7, dtype=torch.float64)


def _beside() -> float:
    """The largest gradient from output to input where no branch has weight: 1 with a residual."""
    block = SlowFastBlock(8).eval()
    torch.nn.init.zeros_(block.compress[1].weight)
    x = torch.randn(1, 8, 6, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(block(x).sum(), x)
    return float(gradient.abs().max())
