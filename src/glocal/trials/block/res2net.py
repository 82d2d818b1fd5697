"""Res2Net's module sees farther than a 3x3 convolution with as many parameters."""

from __future__ import annotations

import torch

from glocal.learn.blocks.res2net import Res2Net
from glocal.learn.cost import count_parameters
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains

CLAIM = Claim(
    measured="side of the receptive field of a trunk with Res2Net modules",
    baseline="side of the receptive field of the trunk with 3x3 convolutions",
    unit="pixels",
    comparison=">",
    margin=8.0,
    seeds=3,
)


def method(lab: Lab) -> float:
    """Receptive field of one cell, and parameters."""
    plain = SmallResidual((16, 32, 48)).eval()
    trunk = graft(plain, "conv", Res2Net)
    share = count_parameters(trunk) / count_parameters(plain)
    lab.check("parameters, in parts of the plain trunk's", share, "<", 1.02)
    lab.check("parameters again, not much fewer", share, ">", 0.9)
    check_trains(lab, graft(plain, "conv", Res2Net))
    return _field(trunk)


def baseline(lab: Lab) -> float:
    """Receptive field with the plain convolutions."""
    del lab
    return _field(SmallResidual((16, 32, 48)).eval())


def _field(trunk: SmallResidual) -> float:
    """Columns of the image with a gradient from the middle cell of the second feature map."""
    image = torch.rand(1, 3, 96, 96, requires_grad=True)
    middle = trunk(image)[1]
    middle[0, :, middle.shape[2] // 2, middle.shape[3] // 2].sum().backward()
    assert image.grad is not None  # noqa: S101 - it was asked for
    reached = image.grad.abs().sum(dim=(0, 1, 2)) > 0
    return float(reached.sum())
