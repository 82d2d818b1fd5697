"""Super tokens are sampled, attend and are un-sampled, at less cost than attention to all cells."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.backbones.svit import SuperTokenAttention, SViTB, SViTS, SViTTiny
from glocal.learn.contracts import Backbone
from glocal.learn.cost import count_flops, count_parameters
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use

CLAIM = Claim(
    measured="output of super token attention",
    baseline="output with the whole association of cells with super tokens, filled in by loops",
    unit="activation",
    comparison="=",
    margin=1e-9,
)
_SQUARE = 4


def method(lab: Lab) -> Tensor:
    """The layer; hard associations, cost, sizes, training, export and search."""
    layer, x = _given()
    if lab.seed == 0:
        sampled, association = layer.sample(x)
        hard = torch.zeros_like(association)
        hard[..., 4] = 1
        repeated = sampled.repeat_interleave(_SQUARE, 2).repeat_interleave(_SQUARE, 3)
        gap = float((layer.unsample(sampled, hard) - repeated).abs().max())
        lab.check("deviation of un-sampling from repetition, hard association", gap, "=", 0)
        lab.check("largest deviation of a cell's association from sum 1",
                  float((association.sum(-1) - 1).abs().max()), "<", 1e-9)  # fmt: skip
        with torch.device("meta"):  # the first stage of SViT-S at 224 pixels
            cells = torch.empty(1, 64, 56, 56)
            layers = [SuperTokenAttention(64, 1, square) for square in (8, 1)]
        some, every = (count_flops(made, cells) for made in layers)
        lab.check("operations in parts of those of attention to all cells", some / every, "<", 0.5)
        check_sizes(lab, {SViTS: "25", SViTB: "52"}, classifiers=0, count=_count_whole)
        check_use(lab, SViTTiny)
    return layer(x)


def baseline(lab: Lab) -> Tensor:
    """``Q`` as a matrix of cells and super tokens; ``S = Q'^T X``, then ``Q Attn(S)``."""
    del lab
    layer, x = _given()
    height, width, rows, columns = 12, 8, 3, 2
    flat = x[0].flatten(1).T
    means = torch.stack(
        [x[0, :, 4 * n : 4 * n + 4, 4 * m : 4 * m + 4].mean((1, 2))
         for n in range(rows) for m in range(columns)]
    )  # fmt: skip
    association = torch.zeros(height * width, rows * columns, dtype=x.dtype)
    for cell in range(height * width):
        y, z = cell // width // _SQUARE, cell % width // _SQUARE
        near = [
            n * columns + m
            for n in range(max(0, y - 1), min(rows, y + 2))
            for m in range(max(0, z - 1), min(columns, z + 2))
        ]
        association[cell, near] = (means[near] @ flat[cell] / 6**0.5).softmax(dim=0)
    sampled = (association / association.sum(0)).T @ flat
    found = association @ layer.attention(sampled[None])[0]
    return found.T.unflatten(1, (height, width))[None]


def _given() -> tuple[SuperTokenAttention, Tensor]:
    layer = SuperTokenAttention(6, 2, _SQUARE).double().requires_grad_(False)
    return layer, torch.randn(1, 6, 12, 8, dtype=torch.float64)


def _count_whole(trunk: Backbone) -> int:
    """With the layer of 1,024 channels and the classifier that the published counts have."""
    width = trunk.levels[-1].width
    last = [torch.nn.Conv2d(width, 1024, 1, bias=False), torch.nn.BatchNorm2d(1024)]
    return count_parameters(torch.nn.Sequential(trunk, *last, torch.nn.Linear(1024, 1000)))
