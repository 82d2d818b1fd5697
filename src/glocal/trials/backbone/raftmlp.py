"""RaftMLP mixes columns and rows with rafts of channels; its weights fit other resolutions.

As in the paper, which trains detectors on larger images from weights for 224 pixels, a network
trained at 64 pixels is trained on at 96, with interpolated weights, and compared with one that
begins at 96. Accuracy at 96 without such training would not test interpolation: after as short a
training, digits enlarged by half are unknown to any network (on another seed's validation images
19 % for RaftMLP, whether weights or maps are interpolated, and 11 % for the convolutions of
UniRepLKNet, which have nothing to interpolate).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glocal.learn.backbones.raft_mlp import (
    RaftMixing,
    RaftMlpL,
    RaftMlpM,
    RaftMlpS,
    RaftMlpTiny,
    Transposed,
)
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use
from glocal.trials.data import Labelled, accuracy
from glocal.trials.zoo import Classifier, fit, predicted

CLAIM = Claim(
    measured="output of vertical and of horizontal mixing with rafts",
    baseline="output of a loop over the columns or rows and the rafts of channels",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """Both mixings; another resolution, sizes and use."""
    layer, x = _given()
    # What does not change along a column stays so, and as large, when the weights are interpolated.
    flat = torch.randn(2, 6, 1, 5, dtype=torch.float64)
    even = RaftMixing(4).double()
    for weights in (even.enter.weight, even.leave.weight, even.leave.bias):
        weights.data = torch.ones_like(weights) * weights.mean()
    once, twice = (even(flat.expand(-1, -1, side, -1)) for side in (4, 8))
    apart = float((once[:, :, :1] - twice).detach().abs().max())
    lab.check("deviation at twice the resolution, of even columns and weights", apart, "<", 1e-9)
    check_sizes(lab, {RaftMlpS: "9.9", RaftMlpM: "21.4", RaftMlpL: "36.2"})
    check_use(lab, RaftMlpTiny, steps=60)
    if lab.seed == 0:
        _check_other_resolution(lab)
    return torch.stack([layer(x), Transposed(layer)(x)])


def baseline(lab: Lab) -> Tensor:
    """One vector of a raft in a column, then in a row, at a time."""
    del lab
    layer, x = _given()
    return torch.stack([_mixed(layer, x), _mixed(layer, x.mT).mT])


def _check_other_resolution(lab: Lab) -> None:
    """Train on images of 64 pixels, then shortly at 96, and compare with the short training."""
    torch.manual_seed(0)
    data = lab.digits(8)
    sides = {side: Labelled(_enlarged(data.train, side), data.train.labels) for side in (64, 96)}
    images = _enlarged(data.validation, 96)
    found = []
    for before in (60, 0):
        model = Classifier(RaftMlpTiny(), data.classes)
        fit(model, sides[64], steps=lab.steps(before), seed=0, batch=32)
        fit(model, sides[96], steps=lab.steps(20), seed=0, batch=32)
        found.append(accuracy(predicted(model, images), data.validation.labels))
    lab.check(
        "accuracy at 96 pixels after 60 steps at 64 and 20 at 96, per cent", found[0], ">", 60
    )
    lab.check("points above 20 steps at 96 alone", found[0] - found[1], ">", 10)


def _enlarged(data: Labelled, side: int) -> NDArray[np.uint8]:
    """The images at another size, by bilinear interpolation, so that no size has steps in it."""
    images = torch.from_numpy(data.images).permute(0, 3, 1, 2).float()
    larger = functional.interpolate(images, (side, side), mode="bilinear").round().byte()
    found: NDArray[np.uint8] = larger.permute(0, 2, 3, 1).numpy()
    return found


def _mixed(layer: RaftMixing, x: Tensor) -> Tensor:
    batch, width, _, breadth = x.shape
    found = torch.empty_like(x)
    for image in range(batch):
        for raft in range(width // 2):
            channels = [raft, raft + width // 2]
            for column in range(breadth):
                vector = torch.cat([x[image, channel, :, column] for channel in channels])
                inner = functional.gelu(layer.enter.weight @ vector + layer.enter.bias)
                parts = (layer.leave.weight @ inner + layer.leave.bias).chunk(2)
                for channel, part in zip(channels, parts, strict=True):
                    found[image, channel, :, column] = part
    return found


def _given() -> tuple[RaftMixing, Tensor]:
    layer = RaftMixing(5).double().requires_grad_(False)
    return layer, torch.randn(2, 6, 5, 5, dtype=torch.float64)
