"""NIN's MLP-convolution is a small network at every place; the backbone trains and is exported."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from glocal.learn.backbones.nin import MlpConvolution, Nin
from glocal.learn.cost import count_parameters
from glocal.trials import Claim, Lab
from glocal.trials.data import accuracy
from glocal.trials.exporting import check_indexes
from glocal.trials.zoo import Classifier, fit, predicted

CLAIM = Claim(
    measured="output of an MLP-convolution layer",
    baseline="output of a perceptron that slides over the patches, one place at a time",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """The layer; size, training with the average of the last map, export and search."""
    layer, x = _given()
    # The authors' last 1x1 convolution gives one map for each of 1,000 classes.
    size = (count_parameters(Nin()) - 1024 * 1025 + 1000 * 1025) / 7.6e6
    lab.check("parameters with a classifier, in parts of the published 7.6 M", size, ">", 0.98)
    lab.check("parameters again, in parts", size, "<", 1.02)
    lab.check("parameters of the tiny preset", count_parameters(Nin.tiny()), "<", 1e6)
    if lab.seed == 0:
        data = lab.digits(32)
        model = Classifier(Nin.tiny(), data.classes)  # it averages the last map
        fit(model, data.train, steps=lab.steps(150), seed=0)
        found = accuracy(predicted(model, data.validation.images), data.validation.labels)
        lab.check("accuracy on digits after 150 steps, per cent (chance is 10)", found, ">", 70)
        check_indexes(lab, Nin.tiny().eval())
    return layer(x)


def baseline(lab: Lab) -> Tensor:
    """Cut a patch, and pass it through three matrices."""
    del lab
    layer, x = _given()
    weights = [m for m in layer if isinstance(m, torch.nn.Conv2d)]
    padded = functional.pad(x, (1, 1, 1, 1))
    found = torch.empty(2, 7, 6, 5, dtype=x.dtype)
    for row in range(6):
        for column in range(5):
            vector = padded[:, :, row : row + 3, column : column + 3].flatten(1)
            for layer_weights in weights:
                matrix, shift = layer_weights.weight.flatten(1), layer_weights.bias
                assert shift is not None  # noqa: S101 - all have one
                vector = (vector @ matrix.T + shift).clamp(min=0)
            found[:, :, row, column] = vector
    return found


def _given() -> tuple[MlpConvolution, Tensor]:
    layer = MlpConvolution(4, 7, 3, 1, 1).double().requires_grad_(False)
    return layer, torch.randn(2, 4, 6, 5, dtype=torch.float64)
