"""Channels are split into convolution, pooling and attention, and attention's share grows."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from glocal.learn.backbones.inception_transformer import (
    InceptionMixer,
    InceptionTransformerB,
    InceptionTransformerL,
    InceptionTransformerS,
    InceptionTransformerTiny,
)
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use

CLAIM = Claim(
    measured="what the three branches of the mixer make of their channels",
    baseline="output of loops over cells, windows and heads, each on its channels alone",
    unit="activation",
    comparison="=",
    margin=1e-9,
)
_PUBLISHED = {
    InceptionTransformerS: "19.9",
    InceptionTransformerB: "47.9",
    InceptionTransformerL: "86.6",
}


def method(lab: Lab) -> Tensor:
    """The branches; the ramp, sizes, training, export and search."""
    mixer, x = _given()
    if lab.seed == 0:
        for kind in _PUBLISHED:
            shares = [
                low / heads
                for heads, layers in zip(kind.heads, kind.low, strict=True)
                for low in layers
            ]
            falls = sum(after < before for before, after in pairwise(shares))
            lab.check(f"{kind.__name__}: layers that attend to less than before", falls, "=", 0)
            lab.check(
                "share of channels attended to, last to first", shares[-1] / shares[0], ">", 2
            )
        check_sizes(lab, _PUBLISHED)
        check_use(lab, InceptionTransformerTiny)
    return torch.cat(mixer.branches(x), dim=1)


def baseline(lab: Lab) -> Tensor:
    """Loops."""
    del lab
    mixer, x = _given()
    first, second, low = x[:, :4], x[:, 4:8], x[:, 8:]
    convolved = torch.zeros(1, 8, 6, 4, dtype=x.dtype)
    widened = torch.einsum("oi,bihw->bohw", mixer.convolve[0].weight[:, :, 0, 0], first)
    kernel = mixer.convolve[1].weight[:, 0]
    largest = torch.full((1, 4, 6, 4), -torch.inf, dtype=x.dtype)
    for row in range(6):
        for column in range(4):
            for y in range(max(0, row - 1), min(6, row + 2)):
                for z in range(max(0, column - 1), min(4, column + 2)):
                    weight = kernel[:, y - row + 1, z - column + 1]
                    convolved[:, :, row, column] += weight * widened[:, :, y, z]
                    largest[:, :, row, column] = largest[:, :, row, column].maximum(
                        second[:, :, y, z]
                    )
    layer = mixer.pooled[1]
    pooled = torch.einsum("oi,bihw->bohw", layer.weight[:, :, 0, 0], largest)
    pooled = pooled + layer.bias[:, None, None]
    attended = torch.zeros(1, 8, 6, 4, dtype=x.dtype)
    means = torch.stack(
        [low[0, :, 2 * n : 2 * n + 2, 2 * m : 2 * m + 2].mean((1, 2))
         for n in range(3) for m in range(2)]
    )  # fmt: skip
    rows = means @ mixer.qkv.weight.T + mixer.qkv.bias
    for head in range(2):
        query, key, value = (rows[:, 8 * n + 4 * head : 8 * n + 4 * head + 4] for n in range(3))
        for cell in range(6):
            share = (key @ query[cell] / 2).softmax(dim=0)
            y, z = 2 * (cell // 2), 2 * (cell % 2)
            attended[0, 4 * head : 4 * head + 4, y : y + 2, z : z + 2] = (share @ value)[
                :, None, None
            ]
    act = torch.nn.functional.gelu
    return torch.cat([act(convolved), act(pooled), attended], dim=1)


def _given() -> tuple[InceptionMixer, Tensor]:
    mixer = InceptionMixer(16, heads=4, low=2, pool=2).double().requires_grad_(False)
    return mixer, torch.randn(1, 16, 6, 4, dtype=torch.float64)
