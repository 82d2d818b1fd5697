"""adaPool blends two exponential kernels by a learned weight; unpooling restores the size."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from glocal.learn.blocks.adapool import AdaPool
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains, count_blocks, pixels

CLAIM = Claim(
    measured="pooled features",
    baseline="pooled features by a loop over the windows and their places",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """Pooled features; unpooling of photos; training in the place of average pooling."""
    block, x = _given()
    pool = AdaPool(3)
    photo = pixels(lab.photos(64)[lab.seed % 4][None]) * 4
    weights = pool.weights(photo)
    restored = pool.unpool(pool(photo), weights).detach()
    lab.check("side of the unpooled map", restored.shape[-1], "=", photo.shape[-1])
    plain = functional.interpolate(functional.avg_pool2d(photo, 2), scale_factor=2.0)
    error = float((restored - photo).square().mean() / (plain - photo).square().mean())
    lab.check("squared error of unpooling, in parts of enlarging the means", error, "<", 1)
    trunk = graft(SmallResidual(), "pool", AdaPool)
    lab.check("poolings replaced", count_blocks(trunk, AdaPool), "=", 2)
    check_trains(lab, trunk)
    if lab.seed == 0:
        blends = [m.beta for m in trunk.modules() if isinstance(m, AdaPool)]
        moved = max(float((beta - 0.5).abs().max()) for beta in blends)
        lab.check("largest change of the blend by training", moved, ">", 0.01)
    return block(x)


def baseline(lab: Lab) -> Tensor:
    """The formulas for each window."""
    del lab
    block, x = _given()
    images, channels, height, width = x.shape
    found = torch.zeros(images, channels, height // 2, width // 2, dtype=x.dtype)
    for image in range(images):
        for channel in range(channels):
            beta = float(block.beta[channel])
            for row in range(height // 2):
                for column in range(width // 2):
                    window = [
                        float(x[image, channel, 2 * row + i, 2 * column + j])
                        for i in (0, 1)
                        for j in (0, 1)
                    ]
                    found[image, channel, row, column] = _pooled(window, beta)
    return found


def _pooled(window: list[float], beta: float) -> float:
    mean = sum(window) / len(window)
    alike = [math.exp(2 * abs(a * mean) / (a * a + mean * mean)) for a in window]
    large = [math.exp(a) for a in window]
    one = sum(a * w for a, w in zip(window, alike, strict=True)) / sum(alike)
    two = sum(a * w for a, w in zip(window, large, strict=True)) / sum(large)
    return beta * one + (1 - beta) * two


def _given() -> tuple[AdaPool, Tensor]:
    block = AdaPool(3).double().requires_grad_(False)
    block.beta.uniform_(0, 1)
    return block, torch.randn(2, 3, 6, 8, dtype=torch.float64)
