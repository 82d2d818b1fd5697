"""Vectors pooled from every level of a pyramid find small digits better than the coarsest map."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glocal.learn.contracts import Backbone
from glocal.learn.necks.fpn import FeaturePyramid
from glocal.trials import Claim, Lab
from glocal.trials.data import Labelled
from glocal.trials.zoo import SmallResidual, fit, pixels

CLAIM = Claim(
    measured="mAP of small digits in cluttered canvases, pooled from every level of a pyramid",
    baseline="mAP pooled from the coarsest map of the same trunk, trained likewise",
    unit="points",
    comparison=">",
    margin=1.0,
    seeds=5,
)
_WIDTH = 24


def method(lab: Lab) -> float:
    """Train with the pyramid; all its maps have one width."""
    trunk = SmallResidual((8, 16, _WIDTH))
    neck = FeaturePyramid(trunk.levels, width=_WIDTH)
    maps = neck(trunk(torch.rand(2, 3, 24, 24)))
    lab.check("widths of the pyramid's maps", len({m.shape[1] for m in maps}), "=", 1)
    lab.check("maps of the pyramid", len(maps), "=", len(trunk.levels))
    model = _Pooled(trunk, neck, len(maps) * _WIDTH)
    return _mean_ap(lab, model)


def baseline(lab: Lab) -> float:
    """Train the trunk with its coarsest map alone."""
    return _mean_ap(lab, _Pooled(SmallResidual((8, 16, _WIDTH)), lambda maps: maps[-1:], _WIDTH))


class _Pooled(nn.Module):
    """The largest values of each map, joined, and a classifier of them."""

    def __init__(
        self, trunk: Backbone, neck: Callable[[list[Tensor]], list[Tensor]], width: int
    ) -> None:
        super().__init__()
        self.trunk, self.neck, self.linear = trunk, neck, nn.Linear(width, 10)

    def vectors(self, image: Tensor) -> Tensor:
        maps = self.neck(self.trunk(image))
        return torch.cat([m.amax(dim=(2, 3)) for m in maps], dim=1)

    def forward(self, image: Tensor) -> Tensor:
        return self.linear(self.vectors(image))


def _mean_ap(lab: Lab, model: _Pooled) -> float:
    data = lab.digits(8)
    random = lab.random()
    seen = Labelled(_scattered(data.train.images, random), data.train.labels)
    fit(model, seen, steps=lab.steps(150), seed=lab.seed)
    with torch.no_grad():
        vectors = model.eval().vectors(pixels(_scattered(data.test.images, random)))
    return data.test.mean_ap(vectors.numpy())


def _scattered(images: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Digits of 8 pixels at random places of a canvas of 20, with bright blots as clutter."""
    side = 20
    found = np.zeros((len(images), side, side, 3), np.uint8)
    for canvas, image in zip(found, images, strict=True):
        for _ in range(4):
            y, x = random.integers(0, side - 2, 2)
            canvas[y : y + 2, x : x + 2] = random.integers(100, 256)
        top, left = random.integers(0, side - 8 + 1, 2)
        canvas[top : top + 8, left : left + 8] = image
    return found
