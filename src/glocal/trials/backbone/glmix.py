"""Convolutions on the grid and attention between slots run side by side; slots group cells."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from glocal.learn.backbones.glmix import GlMixBlock, GlNet4G, GlNet9G, GlNetStl, GlNetTiny
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use

CLAIM = Claim(
    measured="what a GLMix block adds before its feed-forward network",
    baseline="convolutions of the grid, and slots computed one by one, added",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """The sum of both branches; slots to look at, sizes, training, export and search."""
    block, x = _given()
    if lab.seed == 0:
        halves = torch.randn(6, 2, dtype=x.dtype)
        image = x * 0.1 + halves[None, :, None, [0] * 4 + [1] * 4]
        shares = block.groups(image)
        lab.check("largest deviation of a cell's shares from sum 1",
                  float((shares.sum(dim=1) - 1).abs().max()), "<", 1e-9)  # fmt: skip
        left, right = shares[..., :4], shares[..., 4:]
        within = (left - left.mean((2, 3), True)).norm() + (right - right.mean((2, 3), True)).norm()
        between = (left.mean((2, 3)) - right.mean((2, 3))).norm()
        spread = float(within / (2 * left[0, 0].numel() ** 0.5) / between)
        lab.check("spread of shares within halves, in parts of that between", spread, "<", 0.5)
        check_sizes(lab, {GlNetStl: "30.3", GlNet4G: "27", GlNet9G: "61"})
        check_use(lab, GlNetTiny)
    normed = block.norm(x)
    return block.slots(x, normed) + block.grid(normed)


def baseline(lab: Lab) -> Tensor:
    """One slot, and one cell, after another."""
    del lab
    block, x = _given()
    normed = block.norm(x)
    cells = normed[0].flatten(1).T
    begin = functional.adaptive_avg_pool2d(x, 8)[0].flatten(1).T
    scores = (
        torch.stack([functional.cosine_similarity(slot[None], cells, dim=1) for slot in begin])
        * block.slots.temperature
    )
    slots = torch.stack([score.softmax(dim=0) @ cells for score in scores])
    slots = block.slots.attention(slots[None])[0]
    dispatched = torch.stack([scores[:, cell].softmax(dim=0) @ slots for cell in range(len(cells))])
    return dispatched.T.unflatten(1, (10, 8))[None] + block.grid(normed)


def _given() -> tuple[GlMixBlock, Tensor]:
    block = GlMixBlock(6, 2, 2, local=False).double().eval().requires_grad_(False)
    return block, torch.randn(1, 6, 10, 8, dtype=torch.float64)
