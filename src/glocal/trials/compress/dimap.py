"""Within modules, weights of a small Swin Transformer are compared without images and more fairly.

A Swin Transformer of two stages, made and trained here on digits, keeps a part of its weights and
is not trained afterwards. The paper prunes networks a thousand times as large, trained on ImageNet.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from glocal.learn.compress.dimap import DataIndependentModuleAware
from glocal.learn.compress.global_magnitude import GlobalMagnitude
from glocal.learn.timm_package import import_timm
from glocal.trials import Claim, Lab
from glocal.trials.pruned_digits import tested_ap
from glocal.trials.zoo import fit

CLAIM = Claim(
    measured="mAP of a Swin Transformer with 30 % of its weights, by distortion within modules",
    baseline="mAP with 30 % of its weights, by global magnitude",
    unit="points",
    comparison=">",
    margin=1.0,
    seeds=4,
)
KEEP = 0.3
_KEPT: dict[tuple[int, bool], nn.Module] = {}


class _Swin(nn.Module):
    """Two stages of two blocks on images of 8x8 pixels: windows of 4x4 cells, of 2x2 merged."""

    def __init__(self) -> None:
        super().__init__()
        import_timm("the trial of dimap")
        from timm.models.swin_transformer import SwinTransformer

        self.trunk = SwinTransformer(
            img_size=8, patch_size=1, num_classes=10, embed_dim=16, depths=(2, 2),
            num_heads=(2, 4), window_size=4, drop_path_rate=0.0,
        )  # fmt: skip

    def vectors(self, image: Tensor) -> Tensor:
        return self.trunk.forward_head(self.trunk.forward_features(image * 2 - 1), pre_logits=True)

    def forward(self, image: Tensor) -> Tensor:
        return self.trunk(image * 2 - 1)


def method(lab: Lab) -> float:
    """Rank by the distortion of each module."""
    model = _trained(lab)
    plan = DataIndependentModuleAware().plan(model, KEEP)
    lab.check("share of the weights less the goal", abs(plan.kept - KEEP), "<", 0.001)
    return tested_ap(lab, plan.apply(model))


def baseline(lab: Lab) -> float:
    """Rank by magnitude over the whole network."""
    model = _trained(lab)
    return tested_ap(lab, GlobalMagnitude(floor=0.0).plan(model, KEEP).apply(model))


def _trained(lab: Lab) -> nn.Module:
    key = lab.seed, lab.smoke
    if key not in _KEPT:
        torch.manual_seed(lab.seed)
        data, model = lab.digits(8), _Swin()
        fit(model, data.train, steps=lab.steps(80), seed=lab.seed)
        _KEPT[key] = model
    return copy.deepcopy(_KEPT[key])
