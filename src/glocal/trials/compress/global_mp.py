"""The smallest weights of all layers together cost less than the smallest of each layer.

A classifier of digits loses 60 % of its weights at once, and is not trained afterwards. The zeros
make nothing faster: as many products are computed as before. What they spare is bytes, once the
weights are packed.
"""

from __future__ import annotations

import torch

from glocal.learn.compress.global_magnitude import GlobalMagnitude
from glocal.learn.compress.weight_masks import WeightPlan
from glocal.learn.cost import count_flops
from glocal.trials import Claim, Lab
from glocal.trials.pruned_digits import evidence, magnitude_of_each_layer, tested_ap, trained

CLAIM = Claim(
    measured="mAP after pruning 60 % of the weights by global magnitude with a floor",
    baseline="mAP after pruning 60 % of each layer by magnitude",
    unit="points",
    comparison=">",
    margin=5.0,
    seeds=5,
)
KEEP = 0.4


def method(lab: Lab) -> float:
    """Keep 40 % of all weights, and at least 1 % of each layer."""
    model = trained(lab)
    plan = GlobalMagnitude().plan(model, KEEP)
    total = sum(mask.numel() for mask in plan.masks.values())
    lab.check("weights kept less those asked for", abs(plan.kept - KEEP) * total, "<", 1)
    least = min(float(mask.float().mean()) for mask in plan.masks.values())
    lab.check("smallest share of a layer that is kept", least, ">", 0.0099)
    if lab.seed == 0:
        _check_cost(lab, model, plan)
    return tested_ap(lab, plan.apply(model))


def baseline(lab: Lab) -> float:
    """Keep 40 % of each layer."""
    model = trained(lab)
    return tested_ap(lab, magnitude_of_each_layer(model, KEEP).apply(model))


def _check_cost(lab: Lab, model: torch.nn.Module, plan: WeightPlan) -> None:
    image = evidence(lab).images[:1]
    spared = 1 - count_flops(plan.apply(model), image) / count_flops(model, image)
    lab.check("share of the operations that the zeros spare: none", spared, "<", 1e-9)
    whole = WeightPlan({name: torch.ones_like(mask) for name, mask in plan.masks.items()})
    packed = plan.packed_bytes(model) / whole.packed_bytes(model)
    lab.check("bytes of the packed weights, in parts of those unpruned", packed, "<", 0.6)
