"""GC ViT: what is far away changes a window through the global query; sizes, training, export."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from glocal.learn.backbones.timm_families import GcVit
from glocal.learn.timm_package import import_timm
from glocal.trials import Claim, Lab
from glocal.trials.timm_family import check_family

CLAIM = Claim(
    measured="relative change of a window when only other windows change, global queries",
    baseline="the same with the block's own queries from within the window",
    unit="parts of the window's output",
    comparison=">",
    margin=1e-3,
)
_WIDTH, _WINDOW, _SIDE = 16, 4, 16


def method(lab: Lab) -> float:
    """Through the global query; without its change nothing else changes."""
    check_family(lab, GcVit)
    stage, near, far = _given()
    lab.check("change where the global query is kept", _change(stage.blocks[1], stage, near, far,
              keep=True), "=", 0)  # fmt: skip
    return _change(stage.blocks[1], stage, near, far)


def baseline(lab: Lab) -> float:
    """Within the window."""
    del lab
    stage, near, far = _given()
    return _change(stage.blocks[0], stage, near, far)


@torch.no_grad()
def _change(block: Any, stage: Any, one: Tensor, two: Tensor, *, keep: bool = False) -> float:
    """How much a block's output in the first window differs between two maps, in parts."""
    first, second = (
        block(x.permute(0, 2, 3, 1), stage.global_block(one if keep else x).permute(0, 2, 3, 1))
        for x in (one, two)
    )
    here = (slice(None), slice(_WINDOW), slice(_WINDOW))
    return float((first[here] - second[here]).norm() / first[here].norm())


def _given() -> tuple[Any, Tensor, Tensor]:
    """A stage of one local and one global block, and two maps that agree in the first window."""
    layers = import_timm("gc-vit").layers
    from timm.models.gcvit import GlobalContextVitStage

    stage = GlobalContextVitStage(
        _WIDTH, 2, 2, (_SIDE, _SIDE), (_WINDOW, _WINDOW), downsample=False,
        norm_layer=layers.LayerNorm2d, norm_layer_cl=layers.LayerNorm,
    )  # fmt: skip
    one = torch.randn(1, _WIDTH, _SIDE, _SIDE)
    two = torch.randn_like(one)
    two[:, :, :_WINDOW, :_WINDOW] = one[:, :, :_WINDOW, :_WINDOW]
    return stage.eval(), one, two
