"""ResNeSt's split attention weights each cardinal group's branches; sizes, training, export."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glocal.learn.backbones.timm_families import ResNeSt
from glocal.learn.timm_package import import_timm
from glocal.trials import Claim, Lab
from glocal.trials.timm_family import check_family

CLAIM = Claim(
    measured="output of a split-attention block of 3 cardinal groups and 2 branches",
    baseline="each group's branches, weighted by their softmax one group and branch at a time",
    unit="activation",
    comparison="=",
    margin=1e-9,
)
_WIDTH, _GROUPS, _RADIX = 12, 3, 2


def method(lab: Lab) -> Tensor:
    """The block; what its tiny preset does."""
    block, x = _given()
    check_family(lab, ResNeSt)
    found: Tensor = block(x)
    return found


@torch.no_grad()
def baseline(lab: Lab) -> Tensor:
    """Loop over groups and branches."""
    del lab
    block, x = _given()
    branches = block.conv(x).clamp(min=0).unflatten(1, (_RADIX, _GROUPS, -1))
    weights = block.fc2.weight.flatten(1).unflatten(0, (_GROUPS, _RADIX, -1))
    shifts = block.fc2.bias.unflatten(0, (_GROUPS, _RADIX, -1))
    found = []
    for group in range(_GROUPS):
        whole = branches[:, :, group].sum(dim=1).mean(dim=(2, 3))  # (b, width of a group)
        inner = block.fc1.weight.flatten(1).chunk(_GROUPS)[group]
        hidden = (whole @ inner.T + block.fc1.bias.chunk(_GROUPS)[group]).clamp(min=0)
        scores = [hidden @ weights[group, r].T + shifts[group, r] for r in range(_RADIX)]
        total = sum(score.exp() for score in scores)
        found.append(
            sum(
                branches[:, r, group] * (scores[r].exp() / total)[..., None, None]
                for r in range(_RADIX)
            )
        )
    return torch.cat(found, dim=1)


def _given() -> tuple[nn.Module, Tensor]:
    layers = import_timm("resnest").layers
    block = layers.SplitAttn(_WIDTH, groups=_GROUPS, radix=_RADIX, rd_channels=6).double()
    return block.requires_grad_(False), torch.randn(2, _WIDTH, 5, 4, dtype=torch.float64)
