"""UniFormer relates cells to neighbours early and to all cells late; it trains and is exported."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.backbones.uniformer import (
    GlobalRelation,
    LocalRelation,
    UniFormerB,
    UniFormerS,
    UniFormerTiny,
)
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use

CLAIM = Claim(
    measured="output of the local and of the global relation aggregator",
    baseline="U A V(x), with the affinities A of all pairs of cells written out",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """Both aggregators; the part of the image that cells of each level see, sizes and use."""
    local, far, x = _given()
    trunk = UniFormerTiny().double().eval()
    for level, comparison in ((0, "<"), (1, ">"), (2, ">")):
        seen = _part_seen(trunk, level)
        what = f"part of the image with a gradient of one cell, stride {trunk.levels[level].stride}"
        lab.check(what, seen, comparison, 0.5 if level == 0 else 0.99)
    check_sizes(lab, {UniFormerS: "22", UniFormerB: "50"})
    check_use(lab, UniFormerTiny)
    return torch.stack([local(x), far(x)])


def baseline(lab: Lab) -> Tensor:
    """Matrices of affinity: of distance for the local, softmax of products for the global."""
    del lab
    local, far, x = _given()
    return torch.stack([_local(local, x), _global(far, x)])


def _local(layer: LocalRelation, x: Tensor) -> Tensor:
    values, affine, join = layer
    _, width, height, breadth = x.shape
    value = _linear(values, x)
    matrix = torch.zeros(width, height * breadth, height * breadth, dtype=x.dtype)
    for to in range(height * breadth):
        for place in range(height * breadth):
            down = place // breadth - to // breadth + 2
            right = place % breadth - to % breadth + 2
            if 0 <= down < 5 and 0 <= right < 5:
                matrix[:, to, place] = affine.weight[:, 0, down, right]
    related = torch.einsum("ctp,bcp->bct", matrix, value.flatten(2)) + affine.bias[:, None]
    return _linear(join, related.unflatten(2, (height, breadth)))


def _global(layer: GlobalRelation, x: Tensor) -> Tensor:
    tokens = x.flatten(2).mT
    query, key, value = layer.project(tokens).chunk(3, dim=-1)
    heads = []
    for first in range(0, x.shape[1], layer.head):
        part = slice(first, first + layer.head)
        affinity = (query[..., part] @ key[..., part].mT / layer.head**0.5).softmax(dim=-1)
        heads.append(affinity @ value[..., part])
    return layer.join(torch.cat(heads, dim=-1)).mT.unflatten(2, x.shape[2:])


def _linear(layer: torch.nn.Conv2d, x: Tensor) -> Tensor:
    assert layer.bias is not None  # noqa: S101 - it has one
    return torch.einsum("oc,bchw->bohw", layer.weight[:, :, 0, 0], x) + layer.bias[:, None, None]


def _part_seen(trunk: UniFormerTiny, level: int) -> float:
    image = torch.rand(1, 3, 160, 160, dtype=torch.float64, requires_grad=True)
    found = trunk(image)[level]
    middle = found.shape[-1] // 2
    (gradient,) = torch.autograd.grad(found[0, :, middle, middle].square().sum(), image)
    return float((gradient[0].abs().sum(dim=0) > 0).double().mean())


def _given() -> tuple[LocalRelation, GlobalRelation, Tensor]:
    made = LocalRelation(8).double(), GlobalRelation(8, 4).double()
    for layer in made:
        layer.requires_grad_(False)
    return *made, torch.randn(2, 8, 5, 6, dtype=torch.float64)
