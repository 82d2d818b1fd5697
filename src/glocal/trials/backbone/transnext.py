"""Each token of TransNeXt sees the whole map in one layer; it trains and is exported."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from glocal.learn.backbones.transnext import (
    AggregatedAttention,
    ConvolutionalGlu,
    TransNextB,
    TransNextMicro,
    TransNextS,
    TransNextT,
    TransNextTiny,
)
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use

CLAIM = Claim(
    measured="output of aggregated attention",
    baseline="output of a loop over the tokens, each with one softmax over neighbours and pools",
    unit="activation",
    comparison="=",
    margin=1e-9,
)
_PUBLISHED = {TransNextMicro: "12.8", TransNextT: "28.2", TransNextS: "49.7", TransNextB: "89.7"}


def method(lab: Lab) -> Tensor:
    """The attention; what one token sees in one layer, the unit's gate, sizes and use."""
    layer, x = _given()
    for ratio in (1, 2, 4):
        seeing = AggregatedAttention(8, 2, ratio, 16, 14)
        image = torch.randn(1, 8, 16, 16, requires_grad=True)
        (gradient,) = torch.autograd.grad(seeing(image)[0, :, 3, 12].square().sum(), image)
        seen = float((gradient[0].abs().sum(dim=0) > 0).float().mean())
        lab.check(f"part of the map that a token sees when it is pooled by {ratio}", seen, "=", 1)
    unit = ConvolutionalGlu(8, 6).double()
    gate, value = unit.enter(x).chunk(2, dim=1)
    near = functional.conv2d(gate, unit.near.weight, unit.near.bias, padding=1, groups=6)
    apart = (unit(x) - unit.leave(functional.gelu(near) * value)).detach().abs().max()
    lab.check("deviation of the gated unit from its formula", float(apart), "<", 1e-9)
    check_sizes(lab, _PUBLISHED)
    check_use(lab, TransNextTiny, steps=60)
    return layer(x)


def baseline(lab: Lab) -> Tensor:
    """One head of one token at a time."""
    del lab
    layer, x = _given()
    height, width, ratio = *x.shape[2:], layer.ratio
    queries, near = layer.query(x)[0], layer.keys(x)[0]
    pools = layer.keys(layer.pool(x))[0]
    depth, found = x.shape[1] // layer.heads, torch.zeros_like(x[0])
    for head in range(layer.heads):
        part = slice(head * depth, (head + 1) * depth)
        after = slice(x.shape[1] + head * depth, x.shape[1] + (head + 1) * depth)
        for row in range(height):
            for column in range(width):
                keys, values, bias, tokens = [], [], [], []
                unit = functional.normalize(queries[part, row, column], dim=0)
                for number in range(9):
                    i, j = row + number // 3 - 1, column + number % 3 - 1
                    if 0 <= i < height and 0 <= j < width:
                        keys.append(near[part, i, j])
                        values.append(near[after, i, j])
                        bias.append(layer.near[head, 0, number])
                        learned = unit @ layer.tokens[head, :, number]
                        tokens.append(learned + layer.shift[head, 0, number])
                for i in range(height // ratio):
                    for j in range(width // ratio):
                        keys.append(pools[part, i, j])
                        values.append(pools[after, i, j])
                        apart = [
                            (place - ratio * pool - (ratio - 1) / 2) * 8 / (layer.bias.side - 1)
                            for place, pool in ((row, i), (column, j))
                        ]
                        scaled = [math.copysign(math.log2(1 + abs(d)) / 3, d) for d in apart]
                        bias.append(layer.bias.layers(torch.tensor(scaled, dtype=x.dtype))[head])
                        tokens.append(torch.zeros((), dtype=x.dtype))
                scale = functional.softplus(layer.temperature[head, 0, 0]) * math.log(len(keys))
                query = (unit + layer.embedding[head, 0]) * scale
                scores = functional.normalize(torch.stack(keys), dim=1) @ query + torch.stack(bias)
                weights = scores.softmax(dim=0) + torch.stack(tokens)
                found[part, row, column] = weights @ torch.stack(values)
    return layer.join(found[None])


def _given() -> tuple[AggregatedAttention, Tensor]:
    layer = AggregatedAttention(8, 2, 2, 16, 14).double().requires_grad_(False)
    layer.shift += torch.randn_like(layer.shift)
    return layer, torch.randn(1, 8, 6, 4, dtype=torch.float64)
