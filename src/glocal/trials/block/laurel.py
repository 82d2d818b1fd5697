"""LAuReL leaves a network as it was when it is grafted, and then learns."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.blocks.laurel import Laurel
from glocal.learn.cost import count_parameters
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains

CLAIM = Claim(
    measured="features of a trunk with LAuReL at its start",
    baseline="features of the same trunk with residual sums",
    unit="activation",
    comparison="=",
    margin=0.0,
)


def method(lab: Lab) -> Tensor:
    """Features before training; then what training changes."""
    trunk = SmallResidual(units=2).eval()
    image = torch.rand(2, 3, 16, 16)
    grafted = graft(trunk, "residual", Laurel)
    features = grafted(image)[-1].detach()
    added = count_parameters(grafted) - count_parameters(trunk)
    lab.check("added parameters, per cent of the trunk", 100 * added / count_parameters(trunk),
              "<", 3)  # fmt: skip
    check_trains(lab, grafted)
    if lab.seed == 0:
        layers = [m for m in grafted.modules() if isinstance(m, Laurel)]
        weights = max(float((m.alpha - 1).abs().max()) for m in layers)
        low_rank = max(float(up.get_parameter("weight").abs().max()) for m in layers for up in m.up)
        lab.check("largest change of a residual weight by training", weights, ">", 0.005)
        lab.check("largest weight of a low-rank path after training", low_rank, ">", 0.005)
    return features


def baseline(lab: Lab) -> Tensor:
    """Features of the trunk itself."""
    del lab
    trunk = SmallResidual(units=2).eval()
    return trunk(torch.rand(2, 3, 16, 16))[-1]
