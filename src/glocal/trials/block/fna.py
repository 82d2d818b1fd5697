"""Fused neighbourhood attention equals the naive loop and stores less."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.blocks.fna import NeighbourhoodAttention, fused_attention
from glocal.learn.blocks.neighbourhoods import window_starts
from glocal.learn.cost import largest_tensor
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains

CLAIM = Claim(
    measured="output of fused neighbourhood attention",
    baseline="output of a loop over the cells, each attending to its window",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """The fused output, and the largest tensor it makes beside an unfused computation."""
    queries, keys, values = _given()
    fused = largest_tensor(lambda: fused_attention(queries, keys, values, 5))
    unfused = largest_tensor(lambda: _unfused(queries, keys, values, 5))
    lab.check("largest tensor, in parts of the unfused computation's", fused / unfused, "<", 0.1)
    check_trains(lab, graft(SmallResidual(), "mixer", NeighbourhoodAttention))
    return fused_attention(queries, keys, values, 5)


def baseline(lab: Lab) -> Tensor:
    """The naive loop."""
    del lab
    queries, keys, values = _given()
    height, width = queries.shape[-2:]
    rows = window_starts(height, 5, queries.device)
    columns = window_starts(width, 5, queries.device)
    found = torch.empty_like(values)
    for y in range(height):
        for x in range(width):
            window = (..., slice(rows[y], rows[y] + 5), slice(columns[x], columns[x] + 5))
            key, value = keys[window].flatten(-2), values[window].flatten(-2)
            weights = torch.einsum("nhd,nhdk->nhk", queries[..., y, x], key).softmax(dim=-1)
            found[..., y, x] = torch.einsum("nhk,nhdk->nhd", weights, value)
    return found


def _unfused(queries: Tensor, keys: Tensor, values: Tensor, kernel: int) -> Tensor:
    """The same with all keys and values of all windows gathered before they are used."""
    height, width = queries.shape[-2:]
    rows = window_starts(height, kernel, queries.device)
    columns = window_starts(width, kernel, queries.device)
    places = torch.arange(kernel)
    rows, columns = rows[:, None] + places, columns[:, None] + places
    key, value = (
        t[..., rows[:, None, :, None], columns[None, :, None, :]] for t in (keys, values)
    )  # (b, heads, d, h, w, kernel, kernel)
    scores = (queries[..., None, None] * key).sum(dim=2, keepdim=True).flatten(-2)
    return (value.flatten(-2) * scores.softmax(dim=-1)).sum(dim=-1)


def _given() -> tuple[Tensor, Tensor, Tensor]:
    made = torch.randn(3, 2, 2, 4, 11, 13, dtype=torch.float64)
    return made[0], made[1], made[2]
