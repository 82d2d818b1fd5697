"""Triplet attention gates a feature map from three sides for next to no parameters."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glocal.learn.backbones.efficientnet_lite import EfficientNetLite0
from glocal.learn.blocks.triplet_attention import TripletAttention
from glocal.learn.cost import count_parameters
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains

CLAIM = Claim(
    measured="output of triplet attention",
    baseline="output of a loop over three rotated copies, place by place",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """The block's output; it is inserted in two backbones."""
    block, x = _given()
    lite = EfficientNetLite0(weights="none")
    gated = graft(lite, "gate", TripletAttention)
    added = count_parameters(gated) - count_parameters(lite)
    share = 100 * added / count_parameters(lite)
    lab.check("parameters added to EfficientNet-Lite0, per cent", share, "<", 0.05)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        same = [a.shape for a in gated.eval()(image)] == [a.shape for a in lite.eval()(image)]
    lab.check("maps of the same shape (1 is yes)", same, "=", 1)
    check_trains(lab, graft(SmallResidual(), "gate", TripletAttention))
    return block(x)


def baseline(lab: Lab) -> NDArray[np.float64]:
    """Each branch by loops: rotate, pool, filter, gate, rotate back; then the mean."""
    del lab
    block, x = _given()
    total = np.zeros(x.shape)
    for gate, axis in zip(block.gates, (1, 2, 3), strict=True):
        assert isinstance(gate, nn.Sequential)  # noqa: S101 - for the type checker
        turned = np.swapaxes(x.numpy(), 1, axis)
        pooled = np.stack([turned.max(axis=1), turned.mean(axis=1)], axis=1)
        scale = _filtered(pooled, gate)
        total += np.swapaxes(turned * scale[:, None], 1, axis)
    return total / 3


def _filtered(pooled: NDArray[np.float64], gate: nn.Sequential) -> NDArray[np.float64]:
    convolution, norm = gate
    weights = convolution.state_dict()["weight"].numpy()[0]
    half = weights.shape[1] // 2
    images, _, height, width = pooled.shape
    found = np.zeros((images, height, width))
    for row in range(height):
        for column in range(width):
            for down in range(-half, half + 1):
                for across in range(-half, half + 1):
                    y, z = row + down, column + across
                    if 0 <= y < height and 0 <= z < width:
                        seen = pooled[:, :, y, z] @ weights[:, down + half, across + half]
                        found[:, row, column] += seen
    state = {name: float(value) for name, value in norm.state_dict().items()}
    found = (found - state["running_mean"]) / np.sqrt(state["running_var"] + 1e-5)
    return np.asarray(1 / (1 + np.exp(-(found * state["weight"] + state["bias"]))))


def _given() -> tuple[TripletAttention, Tensor]:
    block = TripletAttention(6).double().requires_grad_(False).eval()
    for gate in block.gates:
        norm = gate.get_submodule("1")
        norm.get_buffer("running_mean").normal_()
    return block, torch.randn(2, 6, 8, 9, dtype=torch.float64)
