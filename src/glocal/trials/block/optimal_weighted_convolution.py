"""With a density of one, the weighted convolution is the ordinary one, bit for bit."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.blocks.weighted_convolution import WeightedConvolution
from glocal.learn.cost import count_parameters
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains

CLAIM = Claim(
    measured="features of weighted convolutions with a density of one",
    baseline="features of the same trunk with ordinary convolutions",
    unit="activation",
    comparison="=",
    margin=0.0,
)


def method(lab: Lab) -> Tensor:
    """Features of a trunk whose convolutions became weighted ones of the same weights."""
    trunk = SmallResidual().eval()
    image = torch.rand(2, 3, 16, 16)
    same = graft(trunk, "conv", lambda *a, **k: WeightedConvolution(*a, density=(1.0,), **k))
    plain = [m for m in trunk.modules() if isinstance(m, torch.nn.Conv2d)]
    made = [m for m in same.modules() if isinstance(m, WeightedConvolution)]
    for ordinary, weighted in zip(plain, made, strict=True):
        weighted.convolution.weight = ordinary.weight
    lab.check("learned parameters", count_parameters(same), "=", count_parameters(trunk))
    real = graft(trunk, "conv", WeightedConvolution)
    with torch.no_grad():
        differs = float((real(image)[-1] - trunk(image)[-1]).abs().max())
    lab.check("change of the features with a density of 0.8", differs, ">", 1e-3)
    check_trains(lab, real)
    return same(image)[-1]


def baseline(lab: Lab) -> Tensor:
    """Features of the trunk itself."""
    del lab
    trunk = SmallResidual().eval()
    return trunk(torch.rand(2, 3, 16, 16))[-1]
