"""Networks trained apart have a barrier between them; those that part late have next to none.

All are trained on the same digits. Two that are trained apart begin from different weights; two
that part late have the first half of their training in common, and only the order of their batches
differs afterwards. Along the line the running statistics of the batch normalisation are measured
again, as the line itself has none that fit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache

import torch
from torch import nn
from torch.nn import functional

from glocal.learn.connectivity import Landscape, study_line
from glocal.trials import Claim, Lab
from glocal.trials.zoo import Classifier, SmallResidual, fit, pixels

CLAIM = Claim(
    measured="highest loss above the straight line, between two networks trained apart",
    baseline="the same between two networks that had the first half of their training in common",
    unit="nats",
    comparison=">",
    margin=0.1,
    seeds=5,
)
_STEPS, _POINTS = 80, 7


def method(lab: Lab) -> float:
    """Networks of different beginnings."""
    one, other = (_begun(lab, number) for number in (0, 1))
    found = _study(lab, _finished(lab, one, 0), _finished(lab, other, 1), layers=lab.seed == 0)
    if lab.seed == 0:
        itself = _study(lab, one, copy.deepcopy(one), layers=False)
        lab.check("barrier between a network and itself", itself.barrier, "<", 1e-5)
        lab.check("layers that are reported", len(found.layers), "=", _layers(one))
        largest = max(found.layers.values())
        lab.check("largest barrier of a layer, less that of all", largest - found.barrier, "<", 0)
    return found.barrier


def baseline(lab: Lab) -> float:
    """Networks that part half way."""
    common = _begun(lab, 0)
    found = _study(lab, _finished(lab, common, 0), _finished(lab, common, 1), layers=False)
    return found.barrier


def _study(lab: Lab, one: nn.Module, other: nn.Module, *, layers: bool) -> Landscape:
    return study_line(one, other, _loss(lab.seed, lab.smoke), points=_POINTS, layers=layers)


@cache
def _loss(seed: int, smoke: bool) -> Callable[[nn.Module], float]:
    """Cross entropy of validation images, after the statistics of training images."""
    data = Lab(seed, smoke=smoke).digits(8)
    seen, images = pixels(data.train.images[:256]), pixels(data.validation.images)
    labels = torch.from_numpy(data.validation.labels)

    @torch.no_grad()
    def loss(network: nn.Module) -> float:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # the mean of what is seen
        network.train()(seen)
        return float(functional.cross_entropy(network.eval()(images), labels))

    return loss


def _begun(lab: Lab, number: int) -> nn.Module:
    torch.manual_seed(10 * lab.seed + number)
    return _finished(lab, Classifier(SmallResidual((8, 16, 24)), 10), 5 + number)


def _finished(lab: Lab, network: nn.Module, number: int) -> nn.Module:
    """A copy, trained for half of the steps."""
    made = copy.deepcopy(network)
    data = lab.digits(8).train
    fit(made, data, steps=lab.steps(_STEPS // 2), seed=10 * lab.seed + number)
    return made


def _layers(network: nn.Module) -> int:
    return sum(any(True for _ in m.parameters(recurse=False)) for m in network.modules())
