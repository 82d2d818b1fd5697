"""DPN's blocks feed a residual and a dense path together; sizes, training, export."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from glocal.learn.backbones.timm_families import DualPathNetwork
from glocal.learn.timm_package import import_timm
from glocal.trials import Claim, Lab
from glocal.trials.timm_family import check_family

CLAIM = Claim(
    measured="both paths after three blocks",
    baseline="a residual network and a dense network side by side, whose layers are shared",
    unit="activation",
    comparison="=",
    margin=1e-9,
)
_RESIDUAL, _GROWTH = 8, 3


def method(lab: Lab) -> Tensor:
    """The blocks as timm runs them; what the tiny preset does."""
    blocks, paths = _given()
    check_family(lab, DualPathNetwork)
    x = torch.cat(paths, dim=1)
    for block in blocks:
        x = block(x)
    return x


def baseline(lab: Lab) -> Tensor:
    """Keep a sum and a list of maps, and let each block's convolutions see both."""
    del lab
    blocks, (residual, *dense) = _given()  # one map of the dense path, to begin with
    for block in blocks:
        seen = torch.cat([residual, *dense], dim=1)
        added = block.c1x1_c(block.c3x3_b(block.c1x1_a(seen)))
        residual = residual + added[:, :_RESIDUAL]  # the residual network
        dense.append(added[:, _RESIDUAL:])  # the dense network
    return torch.cat([residual, *dense], dim=1)


def _given() -> tuple[list[Any], tuple[Tensor, ...]]:
    import_timm("dpn")
    from timm.models.dpn import DualPathBlock

    widths = [_RESIDUAL + 5 + _GROWTH * number for number in range(3)]
    blocks = [DualPathBlock(width, 8, 8, _RESIDUAL, _GROWTH, 4) for width in widths]
    paths = tuple(torch.randn(2, width, 4, 6, dtype=torch.float64) for width in (_RESIDUAL, 5))
    return [block.double().eval() for block in blocks], paths
