"""Filters that are chosen for each image lose less than the same filters for all images.

A classifier of digits runs four fifths of its operations, and is not trained with the masks. What
is spared is counted while each image is computed by itself.

Not here: operations fall as estimated before anything is trained, but a network that was not
trained with masks loses most of its mAP on either side. The paper trains it with them afterwards.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from glocal.learn.compress.ftwt import FilterPlan, FireTogether, activations
from glocal.learn.cost import count_flops
from glocal.trials import Claim, Lab
from glocal.trials.data import mean_ap
from glocal.trials.pruned_digits import SIDE, evidence, tested_ap, trained
from glocal.trials.zoo import pixels

CLAIM = Claim(
    measured="mAP with filters predicted for each image",
    baseline="mAP with as many filters of each layer, those that fire most on average",
    unit="points",
    comparison=">",
    margin=1.0,
    seeds=5,
)
KEEP = 0.8
_COUNTED = 24


def method(lab: Lab) -> float:
    """Predict for each image."""
    model, seen = trained(lab), evidence(lab)
    plan = FireTogether().plan(model, KEEP, seen)
    small, data = plan.apply(model), lab.digits(SIDE).validation
    images = pixels(data.images)
    whole = count_flops(model, images[:1])
    left = np.mean([count_flops(small, image[None]) for image in images[:_COUNTED]]) / whole
    lab.check("operations that are left on new images, in parts", float(left), "<", KEEP + 0.05)
    with torch.no_grad():
        alone = torch.cat([small(image[None]) for image in images[:_COUNTED]])
        apart = float((alone - plan.masked(model)(images[:_COUNTED])).abs().max())
        lost = mean_ap(model.vectors(images).numpy(), data.labels)
        lost -= mean_ap(small.vectors(images).numpy(), data.labels)
    lab.check("outputs without the filters less those with zeros", apart, "<", 1e-4)
    lab.check("validation mAP that is lost, points", lost, "<", 5)
    return tested_ap(lab, small)


def baseline(lab: Lab) -> float:
    """The same filters for all images."""
    model, seen = trained(lab), evidence(lab)
    plan = FireTogether().plan(model, KEEP, seen)
    return tested_ap(lab, _static(model, plan, lab).masked(model))


def _static(model: nn.Module, plan: FilterPlan, lab: Lab) -> FilterPlan:
    """Predictors that do not look: as many filters of each layer, with the largest mean mass."""
    images = evidence(lab).images
    predictors = {}
    for name, (maxima, masses) in activations(model, list(plan.predictors), images).items():
        weight, bias = plan.predictors[name]
        logits = maxima @ weight.T + bias
        count = max(1, round(float((logits > 0).float().mean()) * masses.shape[1]))
        fixed = -torch.ones_like(bias)
        fixed[masses.mean(dim=0).argsort(descending=True)[:count]] = 1
        predictors[name] = torch.zeros_like(weight), fixed
    return FilterPlan(predictors, plan.kept)
