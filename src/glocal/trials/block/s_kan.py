"""The gates of S-KAN choose the kind of function that made the data."""

from __future__ import annotations

import torch
from torch.nn import functional

from glocal.learn.blocks.skan import MODES, SelectableKan
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains

CLAIM = Claim(
    measured="gate of the kind of function that made the data, after training",
    baseline="the same gate before training",
    unit="share of the gates",
    comparison=">",
    margin=0.1,
    seeds=6,
)
_PLANTED = ("silu", "wavelet", "sine")  # splines and radial functions imitate each other


def method(lab: Lab) -> float:
    """Train one layer on a planted function."""
    check_trains(lab, graft(SmallResidual(), "conv", SelectableKan, stages=[1, 2]))
    return _gate(lab, steps=lab.steps(400))


def baseline(lab: Lab) -> float:
    """The gate at the start: even."""
    return _gate(lab, steps=0)


def _gate(lab: Lab, steps: int) -> float:
    torch.manual_seed(lab.seed)
    planted = _PLANTED[lab.seed % len(_PLANTED)]
    teacher, layer = SelectableKan(2, out=3, kernel=1), SelectableKan(2, out=3, kernel=1)
    x = 1.5 * torch.randn(512, 2, 1, 1)
    with torch.no_grad():
        goal = 3 * teacher.kinds[planted](teacher.bases(planted, x))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(steps):
        loss = functional.mse_loss(layer(x), goal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(layer.gates()[:, MODES.index(planted)].mean())
