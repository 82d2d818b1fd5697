"""Do searched widths and depths find more than uniform narrowing, if both are distilled alike?

A residual network of three stages with two units each tells digits apart. Two fifths of its
operations are kept: once where the search says, once the same share of every layer's filters at the
full depth. Both begin at the filters with the largest norms and are distilled from the network with
the same steps and batches, so that only the sizes differ. Operations are counted on the networks
that are left.

Not shown: the goal is met to within .003, and the mAP is higher in three of four divisions, by .3
points on average, where both sides are at 98 and seeds differ by more. Digits are too easy to
tell networks of such sizes apart, and 60 steps of search are few.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from glocal.learn.compress.channels import ChannelGroups, ChannelPlan
from glocal.learn.compress.distillation import distil
from glocal.learn.compress.tas import TransformableArchitecture
from glocal.learn.cost import count_flops, count_parameters
from glocal.trials import Claim, Lab
from glocal.trials.data import mean_ap
from glocal.trials.pruned_digits import SIDE, evidence, tested_ap
from glocal.trials.zoo import Classifier, SmallResidual, fit, pixels

CLAIM = Claim(
    measured="mAP of the searched network with two fifths of the operations, distilled",
    baseline="mAP of one narrowed uniformly to as many operations, distilled alike",
    unit="points",
    comparison=">",
    margin=0.5,
    seeds=4,
)
KEEP = 0.4
_KEPT: dict[tuple[int, bool], Classifier] = {}


def method(lab: Lab) -> float:
    """Search, remove, distil."""
    model, seen = trained(lab), evidence(lab, count=1 << 30)
    plan = TransformableArchitecture(lab.steps(60)).plan(model, KEEP, seen)
    small, image = plan.apply(model), seen.images[:1]
    kept = count_flops(small, image) / count_flops(model, image)
    lab.check("share of the operations that is left, less the goal", kept - KEEP, "<", 1e-9)
    lab.check("the goal less that share", KEEP - kept, "<", 0.02)
    with torch.no_grad():
        apart = float((plan.masked(model)(seen.images) - small(seen.images)).abs().max())
    lab.check("outputs of the small network less those of the masked one", apart, "<", 1e-4)
    lab.check("parameters of the small network, in parts",
              count_parameters(small) / count_parameters(model), "<", 0.9)  # fmt: skip
    return tested_ap(lab, distilled(lab, small, model))


def baseline(lab: Lab) -> float:
    """Narrow every layer alike, distil."""
    model = trained(lab)
    return tested_ap(lab, distilled(lab, narrowed(model, lab), model))


def narrowed(model: nn.Module, lab: Lab) -> nn.Module:
    """The network with the largest filters of each group, the same share of each."""
    image = evidence(lab).images[:1]
    groups = ChannelGroups(model, image)
    ranked = {root: groups.magnitudes(model, root).argsort().tolist() for root in groups.sizes}
    chosen: dict[str, list[int]] = {}
    for share in np.arange(0.005, 1, 0.005):
        chosen = {root: order[: round(share * len(order))] for root, order in ranked.items()}
        if groups.remaining_flops(chosen) <= KEEP * groups.flops:
            break
    return ChannelPlan(chosen, image, KEEP).apply(model)


def distilled(lab: Lab, small: nn.Module, model: nn.Module) -> nn.Module:
    """The small network, after 100 steps with the whole one as its teacher."""
    data = lab.digits(SIDE).train
    images, labels = pixels(data.images), torch.from_numpy(data.labels)
    distil(small, model, images, labels, steps=lab.steps(100), seed=lab.seed)
    return small


@torch.no_grad()
def validation_ap(lab: Lab, model: nn.Module) -> float:
    """Mean average precision of the validation images, in per cent."""
    data = lab.digits(SIDE).validation
    return mean_ap(model.vectors(pixels(data.images)).numpy(), data.labels)


def trained(lab: Lab) -> Classifier:
    """The network, trained for 100 steps; the same for both sides of a seed."""
    key = lab.seed, lab.smoke
    if key not in _KEPT:
        torch.manual_seed(lab.seed)
        data = lab.digits(SIDE)
        model = Classifier(SmallResidual(units=2), data.classes)
        fit(model, data.train, steps=lab.steps(100), seed=lab.seed)
        _KEPT[key] = model
    return copy.deepcopy(_KEPT[key])
