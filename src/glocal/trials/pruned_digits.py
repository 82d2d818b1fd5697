"""Networks that are trained on digits in seconds and then pruned, and what is left of them."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.compress.compressor import Evidence
from glocal.learn.compress.weight_masks import WeightPlan, highest, prunable
from glocal.trials.lab import Lab
from glocal.trials.zoo import Classifier, SmallResidual, fit, pixels

SIDE = 8
_KEPT: dict[tuple[int, bool], Classifier] = {}


def trained(lab: Lab) -> Classifier:
    """A classifier of digits, trained for 100 steps; the same for both sides of a seed."""
    key = lab.seed, lab.smoke
    if key not in _KEPT:
        torch.manual_seed(lab.seed)
        data = lab.digits(SIDE)
        model = Classifier(SmallResidual(), data.classes)
        fit(model, data.train, steps=lab.steps(100), seed=lab.seed)
        _KEPT[key] = model
    return copy.deepcopy(_KEPT[key])


def evidence(lab: Lab, *, count: int = 192) -> Evidence:
    """Training images, and the classifier's cross-entropy on them."""
    data = lab.digits(SIDE).train
    images = pixels(data.images[:count])
    labels = torch.from_numpy(data.labels[:count])

    @torch.no_grad()
    def losses(model: nn.Module) -> list[float]:
        return [float(functional.cross_entropy(model(images), labels))]

    return Evidence(images, losses)


def tested_ap(lab: Lab, model: nn.Module) -> float:
    """Mean average precision of the pooled features of test images; scored once a side."""
    test = lab.digits(SIDE).test
    with torch.no_grad():
        return test.mean_ap(model.vectors(pixels(test.images)).numpy())


def magnitude_of_each_layer(model: nn.Module, keep: float) -> WeightPlan:
    """Each layer keeps the same share of its weights, those with the largest magnitude."""
    masks: dict[str, Tensor] = {}
    for name, weight in prunable(model).items():
        masks.update(highest({name: weight.detach().abs()}, keep).masks)
    return WeightPlan(masks)
