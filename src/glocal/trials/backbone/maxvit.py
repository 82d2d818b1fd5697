"""MaxViT costs linearly in the pixels of images of any shape; its attention; training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from glocal.learn.backbones.timm_families import MaxVit
from glocal.learn.cost import count_flops
from glocal.learn.timm_package import import_timm
from glocal.trials import Claim, Lab
from glocal.trials.timm_family import check_family

CLAIM = Claim(
    measured="operations of the tiny preset for an image of random shape",
    baseline="those for its smallest image, times the number of pixels in parts",
    unit="operations",
    comparison="=",
    margin=1e-3,  # squeeze and excitation is the only part that does not grow
)


def method(lab: Lab) -> float:
    """Count; block and grid attention reach the cells that they should."""
    trunk = MaxVit.tiny()
    rows, columns = _shape(lab)
    check_family(lab, MaxVit, steps=40, indexes=False)
    if lab.seed == 0:
        kinds = [_kind(module) for module in trunk.modules()]
        order = [kind for kind in kinds if kind]
        lab.check("convolution, block and grid attention in turn, blocks that are not so",
                  sum(order[i : i + 3] != ["conv", "block", "grid"] for i in range(0, 12, 3)),
                  "=", 0)  # fmt: skip
        lab.check("blocks", len(order) / 3, "=", 4)
        for kind, reached in (("block", _block_cells()), ("grid", _grid_cells())):
            wrong = (_reached(kind) != reached).sum()
            lab.check(f"cells that {kind} attention should reach and does not, or the reverse",
                      float(wrong), "=", 0)  # fmt: skip
    image = torch.zeros(1, 3, rows * trunk.multiple, columns * trunk.multiple)
    return float(count_flops(trunk, image))


def baseline(lab: Lab) -> float:
    """In proportion to the pixels."""
    trunk = MaxVit.tiny()
    smallest = torch.zeros(1, 3, trunk.multiple, trunk.multiple)
    return float(count_flops(trunk, smallest) * np.prod(_shape(lab)))


def _shape(lab: Lab) -> tuple[int, int]:
    """Rows and columns of the image in windows, others for each seed and for its control."""
    return 1 + lab.seed % 5, 3 if lab.seed < 1000 else 4


def _kind(module: Any) -> str:
    name = type(module).__name__
    if name == "PartitionAttentionCl":
        return "block" if module.partition_block else "grid"
    return "conv" if name == "MbConvBlock" else ""


_SIDE, _PART = 12, 4  # cells of a map, and of a window or a grid
_CELL = (5, 6)


def _reached(kind: str) -> Tensor:
    """Which cells of a map the attention at one cell depends on."""
    import_timm("maxvit")
    from timm.models.maxxvit import MaxxVitTransformerCfg, PartitionAttentionCl

    cfg = MaxxVitTransformerCfg(dim_head=4, window_size=(_PART,) * 2, grid_size=(_PART,) * 2)
    attention = PartitionAttentionCl(8, partition_type=kind, cfg=cfg).eval()
    x = torch.randn(1, _SIDE, _SIDE, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(attention(x)[0, _CELL[0], _CELL[1]].square().sum(), x)
    return gradient[0].abs().sum(dim=-1) > 0


def _block_cells() -> Tensor:
    cells = torch.zeros(_SIDE, _SIDE, dtype=torch.bool)
    top, left = (cell // _PART * _PART for cell in _CELL)
    cells[top : top + _PART, left : left + _PART] = True
    return cells


def _grid_cells() -> Tensor:
    cells = torch.zeros(_SIDE, _SIDE, dtype=torch.bool)
    step = _SIDE // _PART
    cells[_CELL[0] % step :: step, _CELL[1] % step :: step] = True
    return cells
