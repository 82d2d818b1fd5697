"""The trunks of the larger models, and the vector that is made of their features afterwards."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from train import half_whitening

from glocal.learn.backbones.efficientnet_lite import (
    EfficientNetLite,
    EfficientNetLite0,
    EfficientNetLite2,
)
from glocal.learn.heads.whitening import Whitening

TRUNKS = {"lite0": EfficientNetLite0, "lite2": EfficientNetLite2}
POWER = 3.0  # of GeM


def trunk_of(size: str, weights: Path | None, state: dict[str, Tensor] | None = None
             ) -> EfficientNetLite:  # fmt: skip
    """A trunk with ImageNet's weights, out of a file or their package, and what a run learned."""
    trunk = TRUNKS[size](weights="none" if weights else "imagenet")
    if weights:
        trunk.load_state_dict(torch.load(weights))
    if state:
        learned = {k: v.float() for k, v in state.items() if k in trunk.state_dict()}
        trunk.load_state_dict(learned, strict=False)
    return trunk


def joined(state: dict[str, Tensor], features: Tensor, share: float, dim: int = 512) -> Whitening:
    """The layer from GeM's features to the vector, fitted to the features of some images.

    The vector joins GeM half-whitened with a share of the projection that was trained to tell
    images apart; of both together the principal components are kept. All of it is one affine map.

    Args:
        state: what a run learned.
        features: ``(n, d)`` GeM's features of training images.
        share: length of the trained part where that of the other one is 1; 0 for none.
        dim: length of the vector.
    """
    x = features.double()
    mean, matrix = (part.double() for part in half_whitening(features, dim))
    maps = [(matrix.T, -(mean @ matrix))]
    if share:
        maps.append((state["projection.weight"].double(), state["projection.bias"].double()))
    parts = []
    for (weight, bias), length in zip(maps, (1.0, share), strict=False):
        scale = length / (x @ weight.T + bias).norm(dim=1).mean()
        parts.append(torch.cat([weight, bias[:, None]], dim=1) * scale)
    whole = torch.cat(parts)
    rows = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1) @ whole.T
    _, directions = torch.linalg.eigh(rows.T @ rows)
    kept = directions.flip(1)[:, :dim].T @ whole
    kept /= kept[:, :-1].norm(dim=1).max()  # only directions matter; this fits half precision
    layer = Whitening(x.shape[1], dim)
    with torch.no_grad():
        layer.linear.weight.copy_(kept[:, :-1])
        layer.linear.bias.copy_(kept[:, -1])
    return layer.requires_grad_(False)
