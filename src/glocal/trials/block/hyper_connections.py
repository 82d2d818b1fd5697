"""With one stream, hyper-connections are the ordinary residual sums."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.blocks.hyper_connections import HyperConnections
from glocal.learn.cost import count_parameters
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains

CLAIM = Claim(
    measured="features of a trunk with hyper-connections of one stream",
    baseline="features of the same trunk with residual sums",
    unit="activation",
    comparison="=",
    margin=1e-6,
)


def method(lab: Lab) -> Tensor:
    """Features with one stream; a trunk with three streams is trained."""
    trunk = SmallResidual(units=3).eval()
    image = torch.rand(2, 3, 16, 16)
    one = graft(trunk, "residual", lambda w, layers: HyperConnections(w, layers=layers, streams=1))
    several = graft(
        trunk,
        "residual",
        lambda w, layers: HyperConnections(w, layers=layers, streams=3, dynamic=True),
    )
    added = count_parameters(several) - count_parameters(trunk)
    lab.check("parameters of three dynamic streams, per cent of the trunk", 100 * added
              / count_parameters(trunk), "<", 3)  # fmt: skip
    check_trains(lab, several)
    if lab.seed == 0:
        mixing = [m for m in several.modules() if isinstance(m, HyperConnections)]
        moved = max(float((m.among - torch.eye(3)).abs().max()) for m in mixing)
        lab.check("largest change of the mixing of streams by training", moved, ">", 0.01)
    return one(image)[-1]


def baseline(lab: Lab) -> Tensor:
    """Features of the trunk itself."""
    del lab
    trunk = SmallResidual(units=3).eval()
    return trunk(torch.rand(2, 3, 16, 16))[-1]
