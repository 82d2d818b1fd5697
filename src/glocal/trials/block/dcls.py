"""The positions of DCLS get the gradients of their interpolation, and move."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.blocks.dcls import LearnableSpacings
from glocal.learn.cost import count_parameters
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains, count_blocks

CLAIM = Claim(
    measured="gradients of a loss with respect to the positions of the elements",
    baseline="differences of the loss when each position is moved a little",
    unit="loss per cell",
    comparison="=",
    margin=1e-5,
)
_STEP = 1e-6


def method(lab: Lab) -> Tensor:
    """Gradients by differentiation; parameters and movement in training."""
    block, x, goal = _given()
    block.requires_grad_()
    (block(x) * goal).sum().backward()
    plain = torch.nn.Conv2d(32, 32, 7, groups=32, bias=False)
    own = count_parameters(LearnableSpacings(32))
    lab.check("parameters, in parts of a 7x7 kernel's", own / count_parameters(plain), "<", 1.0001)
    trunk = graft(SmallResidual(), "mixer", LearnableSpacings)
    layers = [m for m in trunk.modules() if isinstance(m, LearnableSpacings)]
    lab.check("convolutions replaced", count_blocks(trunk, LearnableSpacings), "=", 6)
    before = [layer.positions.detach().clone() for layer in layers]
    check_trains(lab, trunk)
    if lab.seed == 0:
        moved = [
            float((layer.positions - was).abs().mean())
            for layer, was in zip(layers, before, strict=True)
        ]
        lab.check("mean movement of the positions by training, in cells", min(moved), ">", 0.01)
    assert block.positions.grad is not None  # noqa: S101 - it was asked for
    return block.positions.grad


def baseline(lab: Lab) -> Tensor:
    """The loss at both sides of each position."""
    del lab
    block, x, goal = _given()
    found = torch.zeros_like(block.positions)
    for place in range(found.numel()):
        losses = []
        for step in (_STEP, -_STEP):
            block.positions.view(-1)[place] += step
            losses.append((block(x) * goal).sum())
            block.positions.view(-1)[place] -= step
        found.view(-1)[place] = (losses[0] - losses[1]) / (2 * _STEP)
    return found


def _given() -> tuple[LearnableSpacings, Tensor, Tensor]:
    block = LearnableSpacings(4, elements=5).double().requires_grad_(False)
    x = torch.randn(1, 4, 10, 12, dtype=torch.float64)
    return block, x, torch.randn_like(x)
