"""ELA gates a stage of a residual network, keeps its shape, adds few parameters and trains."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocal.learn.blocks.ela import EfficientLocalAttention
from glocal.learn.cost import count_parameters
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains

CLAIM = Claim(
    measured="output of ELA",
    baseline="output of a loop over strips, channels and places",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """The gate's output, and what it adds to a trunk."""
    block, x = _given()
    plain = SmallResidual()
    trunk = graft(plain, "gate", EfficientLocalAttention)
    added = count_parameters(trunk) - count_parameters(plain)
    share = 100 * added / count_parameters(plain)
    lab.check("added parameters, per cent of the trunk", share, "<", 2)
    shapes = [m.shape for m in trunk.eval()(torch.rand(2, 3, 16, 16))]
    same = shapes == [m.shape for m in plain.eval()(torch.rand(2, 3, 16, 16))]
    lab.check("maps of the same shape (1 is yes)", same, "=", 1)
    before = [p.detach().clone() for p in _gates(trunk)]
    check_trains(lab, trunk)
    if lab.seed == 0:
        moved = min(
            float((p.detach() - q).abs().max()) for p, q in zip(_gates(trunk), before, strict=True)
        )
        lab.check("smallest of the gates' changes by training", moved, ">", 0.001)
    return block(x)


def baseline(lab: Lab) -> NDArray[np.float64]:
    """The formula for each strip, in NumPy."""
    del lab
    block, x = _given()
    array = x.numpy()
    rows = _gate(block, array.mean(axis=3))
    columns = _gate(block, array.mean(axis=2))
    return array * rows[:, :, :, None] * columns[:, :, None, :]


def _gate(block: EfficientLocalAttention, strips: NDArray[np.float64]) -> NDArray[np.float64]:
    images, channels, length = strips.shape
    filters = block.mix.weight.numpy()[:, 0]
    half = filters.shape[1] // 2
    mixed = np.zeros_like(strips)
    for place in range(length):
        for tap in range(-half, half + 1):
            if 0 <= place + tap < length:
                mixed[:, :, place] += filters[:, tap + half] * strips[:, :, place + tap]
    gain, shift = (p.numpy()[:, None] for p in (block.norm.weight, block.norm.bias))
    size = channels // block.norm.num_groups
    for image in range(images):
        for group in range(block.norm.num_groups):
            chosen = mixed[image, group * size : (group + 1) * size]
            spread = np.sqrt(chosen.var() + block.norm.eps)
            mixed[image, group * size : (group + 1) * size] = (chosen - chosen.mean()) / spread
    return np.asarray(1 / (1 + np.exp(-(mixed * gain + shift))))


def _gates(trunk: torch.nn.Module) -> list[Tensor]:
    found = [m for m in trunk.modules() if isinstance(m, EfficientLocalAttention)]
    return [block.mix.weight for block in found]


def _given() -> tuple[EfficientLocalAttention, Tensor]:
    block = EfficientLocalAttention(12, norm_groups=4).double().requires_grad_(False)
    return block, torch.randn(2, 12, 8, 11, dtype=torch.float64)
