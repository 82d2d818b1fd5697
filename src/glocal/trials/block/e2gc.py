"""Counted compute and data movement of E2GC match the sizing model."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocal.learn.blocks.e2gc import EnergyEfficientGroups, Sizing, sizing
from glocal.learn.cost import count_flops
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains

CLAIM = Claim(
    measured="counted multiply-accumulates, weights and activations of each layer of a trunk",
    baseline="the same by the sizing model",
    unit="thousands",
    comparison="=",
    margin=0.0,
)


def method(lab: Lab) -> NDArray[np.float64]:
    """What hooks and torch's counter see while a trunk runs."""
    widths, size = _layout(lab)
    trunk = graft(SmallResidual(widths), "conv", lambda w, **k: _grouped(w, size, **k), [1, 2])
    seen: list[list[float]] = []

    def note(layer: torch.nn.Module, given: tuple[Tensor], made: Tensor) -> None:
        operations = count_flops(layer.get_submodule("convolution"), given[0]) / 2
        weights = sum(p.numel() for p in layer.parameters())
        seen.append([operations, weights, given[0].numel() + made.numel()])

    layers = [m for m in trunk.modules() if isinstance(m, EnergyEfficientGroups)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    trunk.eval()(torch.rand(1, 3, 16, 16))
    for hook in hooks:
        hook.remove()
    groups = {layer.size for layer in layers}
    lab.check("sizes of groups that occur", len(groups), "=", 1)
    check_trains(lab, trunk)
    return np.array(seen) / 1000


def baseline(lab: Lab) -> NDArray[np.float64]:
    """The sizing model for each layer of the trunk."""
    widths, size = _layout(lab)
    found: list[Sizing] = []
    for number in (1, 2):
        cells = (16 // 2**number) ** 2
        before, width = widths[number - 1], widths[number]
        found += [
            sizing(width=inputs, out=width, size=size, kernel=3, cells_in=cells, cells_out=cells)
            for inputs in (before, width, width)
        ]
    return np.array([[s.operations, s.weights, s.activations] for s in found]) / 1000


def _layout(lab: Lab) -> tuple[tuple[int, int, int], int]:
    random = lab.random()
    size = int(random.choice([4, 8]))
    width = 8 * int(random.integers(2, 9))
    return (width, 2 * width, 4 * width), size


def _grouped(width: int, size: int, **options: int) -> EnergyEfficientGroups:
    return EnergyEfficientGroups(width, size=size, **options)
