"""The local relation layer's weights come from pairs of cells, in the place of 3x3 convolutions."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.blocks.lr_net import LocalRelation
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains, count_blocks

CLAIM = Claim(
    measured="output of the local relation layer",
    baseline="output of a loop over all pairs of cells",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """The layer's output; its weights differ from cell to cell, unlike those of a convolution."""
    layer, x = _given()
    weights = layer.weights(x)
    inner = weights[:, :, :, 2:-2, 2:-2]
    varies = float((inner.amax(dim=(3, 4)) - inner.amin(dim=(3, 4))).max())
    lab.check("largest difference of a weight between cells", varies, ">", 0.05)
    trunk = graft(SmallResidual(), "conv", LocalRelation, stages=[1, 2])
    lab.check("3x3 convolutions replaced", count_blocks(trunk, LocalRelation), "=", 6)
    check_trains(lab, trunk)
    return layer(x)


def baseline(lab: Lab) -> Tensor:
    """For each cell and group, weights from the pairs with each neighbour, one at a time."""
    del lab
    layer, x = _given()
    query, key = layer.query(x), layer.key(x)
    prior = layer.prior(layer.get_buffer("offsets"))
    summed = torch.zeros_like(x)
    images, _, height, width = x.shape
    half = layer.kernel // 2
    for image in range(images):
        for group in range(query.shape[1]):
            channels = slice(group * layer.share, (group + 1) * layer.share)
            for row in range(height):
                for column in range(width):
                    scores, neighbours = [], []
                    for number in range(layer.kernel**2):
                        y = row + number // layer.kernel - half
                        z = column + number % layer.kernel - half
                        if 0 <= y < height and 0 <= z < width:
                            apart = query[image, group, row, column] - key[image, group, y, z]
                            scores.append(prior[number, group] - apart**2)
                            neighbours.append(x[image, channels, y, z])
                    weights = torch.stack(scores).softmax(dim=0)
                    summed[image, channels, row, column] = weights @ torch.stack(neighbours)
    return layer.join(summed)


def _given() -> tuple[LocalRelation, Tensor]:
    layer = LocalRelation(16, kernel=3).double().requires_grad_(False)
    return layer, 3 * torch.randn(2, 16, 6, 7, dtype=torch.float64)
