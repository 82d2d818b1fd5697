"""Ghost modules in the place of convolutions halve what these cost, as counted."""

from __future__ import annotations

import torch

from glocal.learn.blocks.ghost import Ghost
from glocal.learn.cost import count_flops, count_parameters
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains, count_blocks

CLAIM = Claim(
    measured="operations of a trunk with Ghost modules",
    baseline="operations of the same trunk with its 3x3 convolutions",
    unit="per cent of the convolutions' operations",
    comparison="<",
    margin=45.0,
    seeds=3,
)


def method(lab: Lab) -> float:
    """Counted operations, in parts of those of the plain trunk."""
    plain = _trunk(lab)
    trunk = graft(plain, "conv", Ghost)
    lab.check("convolutions replaced", count_blocks(trunk, Ghost), "=", 9)
    parameters = count_parameters(trunk) / count_parameters(plain)
    lab.check("parameters, in parts of the plain trunk's", parameters, "<", 0.58)
    image = torch.rand(1, 3, 32, 32)
    share = 100 * count_flops(trunk, image) / count_flops(plain, image)
    check_trains(lab, trunk)
    return share


def baseline(lab: Lab) -> float:
    """The plain trunk's operations, in parts of themselves."""
    image = torch.rand(1, 3, 32, 32)
    return 100 * count_flops(_trunk(lab), image) / count_flops(_trunk(lab), image)


def _trunk(lab: Lab) -> SmallResidual:
    width = 16 + 4 * (lab.seed % 5)
    return SmallResidual((width, 2 * width, 3 * width)).eval()
