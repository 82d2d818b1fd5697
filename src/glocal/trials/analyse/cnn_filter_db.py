"""Trained networks share the shapes of their 3x3 kernels, and what is planted among them is found.

Two EfficientNet-Lites of different depth and width were trained on ImageNet. Half of each layer's
kernels, drawn by the seed, are compared: those of both with each other, and those of the smaller
one with an untrained network of its kind. That trainings lead to like shapes is the paper's
finding; the two networks share their family and their images, so that they are an easy case of it.

Into the trained kernels others are planted: a layer of random numbers, and kernels that do nothing.
By just so much the share of degenerate kernels has to rise. What it is before is a check, too, to
be kept with the result: it is high since two layers have nearly one shape, the last one and the
first that halves its map to a stride of 16.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.analyse.filters import extract_kernels, filter_shift, study_filters
from glocal.learn.backbones.efficientnet_lite import EfficientNetLite0, EfficientNetLite2
from glocal.trials import Claim, Lab

CLAIM = Claim(
    measured="shift between the 3x3 kernels of two networks that were trained on ImageNet",
    baseline="between those of one of them and of the same network untrained",
    unit="nats",
    comparison="<",
    margin=0.5,
    seeds=6,
)
_PLANTED, _IDLE = "stages.1.1.layers.1.0.weight", "stages.1.2.layers.1.0.weight"
_IDLES = 40

Weights = dict[str, NDArray[np.float64]]


def method(lab: Lab) -> float:
    """Both trained."""
    random = lab.random()
    one, other = (_half(_trained(size), random) for size in (0, 2))
    lab.check("shift between a network and itself", filter_shift(one, one), "=", 0)
    turned = filter_shift(other, one)
    found = filter_shift(one, other)
    lab.check("difference of the shift by which comes first", abs(turned - found), "<", 1e-9)
    before = study_filters(one)
    planted = {name: each.copy() for name, each in one.items()}
    planted[_PLANTED] = random.normal(size=one[_PLANTED].shape)
    largest = np.abs(one[_IDLE]).max(axis=(1, 2, 3))
    active = np.flatnonzero(largest >= 0.02 * largest.max())
    active = active[active != largest.argmax()]
    planted[_IDLE][random.choice(active, _IDLES, False)] *= 1e-3
    after = study_filters(planted)
    count = len(one[_PLANTED])
    wanted = count * (1 - before.layers[_PLANTED].sparse) + _IDLES
    risen = (after.degenerate - before.degenerate) * len(before.coefficients)
    lab.check("degenerate kernels planted, less those found", round(abs(risen - wanted), 6), "=", 0)
    lab.check("degenerate kernels as trained, per cent", 100 * before.degenerate, ">", 0)
    lab.check("variance that the first principal shape explains", before.shares[0], ">", 0.3)
    return found


def baseline(lab: Lab) -> float:
    """One trained."""
    random = lab.random()
    one = _half(_trained(0), random)
    torch.manual_seed(lab.seed)
    untrained = EfficientNetLite0(weights="none")
    return filter_shift(one, _half(_kernels(untrained), random))


def _half(weights: Weights, random: np.random.Generator) -> Weights:
    """Half of the kernels of each layer."""
    return {
        name: each[random.permutation(len(each))[: len(each) // 2]]
        for name, each in weights.items()
    }


@cache
def _trained(size: int) -> Weights:
    return _kernels(EfficientNetLite0() if size == 0 else EfficientNetLite2())


def _kernels(network: torch.nn.Module) -> Weights:
    return {name: each[:, None] for name, each in extract_kernels(network.state_dict()).items()}
