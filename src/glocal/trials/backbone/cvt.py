"""CvT has no positions: it moves with its image, and takes images of any size.

The claim needs an image without edges: convolutions are padded with the other side of the map. What
then tells one place from another could only be positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glocal.learn.backbones.cvt import Cvt13, Cvt21, CvtTiny
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_sizes, check_use

CLAIM = Claim(
    measured="feature map of an image without edges that was moved by 32 and 64 pixels",
    baseline="feature map of the image, moved by 2 and 4 cells",
    unit="activation",
    comparison="=",
    margin=1e-9,
)


def method(lab: Lab) -> Tensor:
    """Move the image; the same weights on several sizes, sizes and use."""
    trunk, image = _given()
    found: Tensor = trunk(image.roll((32, 64), (2, 3)))[-1]
    for height, width in ((32, 32), (64, 160), (224, 96)):
        maps = trunk(torch.rand(1, 3, height, width, dtype=torch.float64))
        cells = [feature_map.shape[-2] * feature_map.shape[-1] for feature_map in maps]
        what = f"cells of both maps for an image of {width}x{height} pixels"
        lab.check(what, sum(cells), "=", height * width / 64 + height * width / 256)
        finite = all(bool(feature_map.isfinite().all()) for feature_map in maps)
        lab.check("all of them are finite", finite, "=", 1)
    check_sizes(lab, {Cvt13: "20", Cvt21: "32"})
    check_use(lab, CvtTiny, steps=60)
    return found


def baseline(lab: Lab) -> Tensor:
    """Move the map."""
    del lab
    trunk, image = _given()
    return trunk(image)[-1].roll((2, 4), (2, 3))


def _given() -> tuple[CvtTiny, Tensor]:
    trunk = CvtTiny().double().eval().requires_grad_(False)
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
            module.padding_mode = "circular"
            side = module.padding[0]
            # As it is for a layer that is built so.
            module._reversed_padding_repeated_twice = [int(side)] * 4
    return trunk, torch.rand(1, 3, 128, 128, dtype=torch.float64)
