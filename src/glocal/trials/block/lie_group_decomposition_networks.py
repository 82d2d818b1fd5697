"""Pooled features of the group convolution change little under affine warps of the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.blocks.lie_group import LieGroupConvolution
from glocal.learn.graft import graft
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, check_trains, pixels

CLAIM = Claim(
    measured="change of the pooled features of warped digits, with filters over GL+(2)",
    baseline="change of the pooled features of an ordinary convolution with the same filters",
    unit="per cent of the features' spread over images",
    comparison="<",
    margin=20.0,
    seeds=5,
)
_WARPS, _IMAGES = 6, 12


def method(lab: Lab) -> float:
    """Change with the group convolution; it stands in for convolutions and trains."""
    layer = LieGroupConvolution(3, out=8, rotations=12)
    check_trains(lab, graft(SmallResidual((8, 12, 16)), "conv", _small, [2]), least=60)
    return _change(lab, layer)


def baseline(lab: Lab) -> float:
    """Change with the same filters as they are."""
    layer = LieGroupConvolution(3, out=8, rotations=12)
    plain = nn.Conv2d(3, 8, 7, padding=3, bias=False)
    plain.weight = nn.Parameter(layer.weight * layer.get_buffer("inside"))
    return _change(lab, plain)


def _small(width: int, **options: int) -> LieGroupConvolution:
    return LieGroupConvolution(width, rotations=4, reach=0.0, kernel=3, **options)


@torch.no_grad()
def _change(lab: Lab, layer: nn.Module) -> float:
    """Mean distance of warped from upright features, in per cent of that between images."""
    small = pixels(lab.digits(8).train.images[:_IMAGES])
    images = functional.interpolate(small, scale_factor=2.0, mode="bicubic").clamp(0, 1)
    images = functional.pad(images, (8, 8, 8, 8))
    upright = _pooled(layer, images)
    spread = torch.cdist(upright, upright).sum() / (_IMAGES * (_IMAGES - 1))
    random = torch.Generator().manual_seed(lab.seed)
    changes = []
    for _ in range(_WARPS):
        warp = _warp(random)
        grid = functional.affine_grid(
            warp[None, :2].expand(_IMAGES, -1, -1), list(images.shape), align_corners=False
        )
        warped = functional.grid_sample(images, grid, align_corners=False)
        changes.append((_pooled(layer, warped) - upright).norm(dim=1).mean())
    return float(100 * torch.stack(changes).mean() / spread)


def _pooled(layer: nn.Module, images: Tensor) -> Tensor:
    """The largest response of each filter, over the image."""
    return layer(images).relu().amax(dim=(2, 3))


def _warp(random: torch.Generator) -> Tensor:
    """A random rotation times a random stretch of up to 1.35 in each direction."""
    angle = 6.2832 * torch.rand(1, generator=random)
    turn = torch.stack(
        [torch.cat([angle.cos(), -angle.sin()]), torch.cat([angle.sin(), angle.cos()])]
    )
    entries = 0.6 * torch.rand(3, generator=random) - 0.3
    symmetric = torch.stack([entries[:2], entries[1:]])
    return torch.cat([turn @ torch.linalg.matrix_exp(symmetric), torch.zeros(2, 1)], dim=1)
