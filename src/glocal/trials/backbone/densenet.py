"""Every layer of a DenseNet receives all maps before it; sizes, training, export."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.backbones.densenet import (
    DenseLayer,
    DenseNet121,
    DenseNet169,
    DenseNet201,
    DenseNetTiny,
)
from glocal.learn.cost import count_parameters
from glocal.trials import Claim, Lab
from glocal.trials.data import accuracy
from glocal.trials.exporting import check_indexes
from glocal.trials.zoo import Classifier, fit, predicted

CLAIM = Claim(
    measured="what the last layer of a block receives",
    baseline="the block's input and the results of all its layers before, computed one by one",
    unit="activation",
    comparison="=",
    margin=1e-9,
)
_PUBLISHED = {DenseNet121: 7.98e6, DenseNet169: 14.15e6, DenseNet201: 20.01e6}


def method(lab: Lab) -> Tensor:
    """What the last layer gets; sizes, training, export and search."""
    layers, x = _given()
    received: list[Tensor] = []
    layers[-1].register_forward_pre_hook(lambda _, given: received.append(given[0]))
    torch.nn.Sequential(*layers)(x)
    if lab.seed == 0 and not lab.smoke:  # drawing the weights of the three takes seconds
        for kind, published in _PUBLISHED.items():
            trunk = kind()
            classifier = (trunk.levels[-1].width + 1) * 1000
            size = (count_parameters(trunk) + classifier) / published
            lab.check(f"{kind.__name__}: parameters in parts of the published", size, "<", 1.02)
            lab.check(f"{kind.__name__}: again", size, ">", 0.98)
    if lab.seed == 0:
        lab.check("parameters of the tiny preset", count_parameters(DenseNetTiny()), "<", 1e6)
        data = lab.digits(32)
        model = Classifier(DenseNetTiny(), data.classes)
        fit(model, data.train, steps=lab.steps(100), seed=0)
        found = accuracy(predicted(model, data.validation.images), data.validation.labels)
        lab.check("accuracy on digits after 100 steps, per cent (chance is 10)", found, ">", 80)
        check_indexes(lab, DenseNetTiny().eval())
    return received[0]


def baseline(lab: Lab) -> Tensor:
    """Collect the results of the layers, and join them."""
    del lab
    layers, x = _given()
    results = [x]
    for layer in layers[:-1]:
        results.append(layer.layers(torch.cat(results, dim=1)))
    return torch.cat(results, dim=1)


def _given() -> tuple[list[DenseLayer], Tensor]:
    layers = [DenseLayer(6 + 4 * number, 4).double().eval() for number in range(5)]
    return layers, torch.randn(2, 6, 5, 7, dtype=torch.float64)
