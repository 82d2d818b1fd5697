"""Feature maps upsampled with the image as a guide, which averaging gives back as they were."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glocal.learn.necks.featup import GuidedUpsampling
from glocal.trials import Claim, Lab
from glocal.trials.zoo import SmallResidual, pixels

CLAIM = Claim(
    measured="averages of the upsampled features over each cell",
    baseline="the features themselves",
    unit="activation",
    comparison="=",
    margin=1e-9,
    seeds=4,
)


def method(lab: Lab) -> Tensor:
    """Upsample a network's map, and colours, of which the truth is known."""
    image, maps = _given(lab)
    found = GuidedUpsampling().double()(maps, image)
    lab.check("side of the upsampled map", found.shape[-1], "=", 4 * maps.shape[-1])
    few = functional.avg_pool2d(image, 8)
    guided = GuidedUpsampling(factor=8)(few.float(), image.mean(1, keepdim=True).float())
    plain = functional.interpolate(few, scale_factor=8.0, mode="bilinear")
    share = float((guided - image).square().mean() / (plain - image).square().mean())
    lab.check("squared error of colours guided by grey, in parts of bilinear's", share, "<", 0.9)
    return functional.avg_pool2d(found, 4)


def baseline(lab: Lab) -> NDArray[np.float64]:
    """The map before upsampling."""
    return _given(lab)[1].numpy()


@torch.no_grad()
def _given(lab: Lab) -> tuple[Tensor, Tensor]:
    trunk = SmallResidual().double().eval()
    image = pixels(lab.photos(64)[lab.seed % 4][None]).double()
    return image, trunk(image)[-1]
