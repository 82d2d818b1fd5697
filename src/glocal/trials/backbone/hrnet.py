"""HRNet keeps a high resolution, and local features are found again nearer to their place.

Photos are moved by a few pixels, and points of a grid are looked for in the moved photo by the
nearest descriptor, interpolated in the maps. HRNet's is that of all its branches together, as in
its second version; the serial network's that of its last map. Both learnt digits for a moment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.timm_families import HrNet
from glocal.learn.backbones.timm_model import TimmBackbone
from glocal.learn.contracts import Backbone
from glocal.learn.cost import count_parameters
from glocal.trials import Claim, Lab
from glocal.trials.timm_family import check_family
from glocal.trials.zoo import fit, pixels

CLAIM = Claim(
    measured="mean distance of found points from their place, HRNet's branches at stride 4",
    baseline="the same by the output, of stride 32, of a serial residual network of similar size",
    unit="pixels",
    comparison="<",
    margin=1,
    seeds=5,
)
_SIDE, _MOST = 128, 8  # pixels of a photo, and how far it is moved at most


class _AllMaps(nn.Module):
    """Classes from the means of all maps, so that every branch learns."""

    def __init__(self, trunk: Backbone, classes: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.linear = nn.Linear(sum(level.width for level in trunk.levels), classes)

    def forward(self, image: Tensor) -> Tensor:
        means = [m.mean(dim=(2, 3)) for m in self.trunk(image)]
        scores: Tensor = self.linear(torch.cat(means, dim=1))
        return scores


def method(lab: Lab) -> float:
    """Match in the finest of the parallel branches."""
    check_family(lab, HrNet)
    trunk = HrNet.tiny()
    if lab.seed == 0:
        lab.check("stride of the finest map", trunk.levels[0].stride, "=", 4)
        sizes = count_parameters(_serial()) / count_parameters(trunk)
        lab.check("parameters of the serial network in parts", sizes, ">", 0.9)
        lab.check("branches that another does not reach", _not_reached(trunk.eval()), "=", 0)
    return _error(lab, trunk, slice(None))


def baseline(lab: Lab) -> float:
    """Match in the only output of a serial network."""
    return _error(lab, _serial(), slice(-1, None))


def _serial() -> TimmBackbone:
    return TimmBackbone("resnet18", weights="none", channels=(16, 32, 52, 68), layers=(1, 2, 2, 1))


def _error(lab: Lab, trunk: Backbone, levels: slice) -> float:
    """Mean distance of the points that are found by some levels' maps, in pixels."""
    data = lab.digits(32)
    fit(_AllMaps(trunk, data.classes), data.train, steps=lab.steps(30), seed=lab.seed, batch=32)
    photos = pixels(np.stack(lab.photos(_SIDE + 2 * _MOST)))
    moved, trunk = lab.random().choice([-7, -5, -3, 3, 5, 7], 2), trunk.eval()
    rows, columns = ((_MOST + move, _MOST + move + _SIDE) for move in moved)
    with torch.no_grad():
        before = trunk(photos[:, :, _MOST:-_MOST, _MOST:-_MOST])[levels]
        after = trunk(photos[:, :, rows[0] : rows[1], columns[0] : columns[1]])[levels]
    points = torch.cartesian_prod(*[torch.arange(24, _SIDE - 24, 8)] * 2).float()
    places = torch.cartesian_prod(*[torch.arange(0, _SIDE, 2)] * 2).float()
    one, two = _descriptors(before, points), _descriptors(after, places)
    found = places[(one @ two.transpose(1, 2)).argmax(dim=2)]  # (photos, points, 2)
    # What was at a point is now as much further up and left as the cut was moved down and right.
    due = points - torch.from_numpy(moved)
    return float((found - due).norm(dim=2).mean())


def _descriptors(maps: Sequence[Tensor], points: Tensor) -> Tensor:
    """Descriptors ``(b, points, c)`` at rows and columns of pixels, unit vectors of each map."""
    grid = (2 * (points + 0.5) / _SIDE - 1).flip(1).expand(len(maps[0]), 1, -1, -1)
    found = []
    for each in maps:
        picked = functional.grid_sample(each, grid, align_corners=False, padding_mode="border")
        found.append(functional.normalize(picked[:, :, 0].transpose(1, 2), dim=2))
    return torch.cat(found, dim=2)


def _not_reached(trunk: HrNet) -> int:
    """Pairs of branches of the last stage of which one does not depend on the other."""
    stage = trunk.stages[0].stage4
    given = [torch.randn(1, level.width, 32 // level.stride, 32 // level.stride,
             requires_grad=True) for level in trunk.levels]  # fmt: skip
    missing = 0
    for output in stage(list(given)):
        gradients = torch.autograd.grad(output.square().sum(), given, retain_graph=True)
        missing += sum(not gradient.any() for gradient in gradients)
    return missing
