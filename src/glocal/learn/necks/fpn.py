"""A feature pyramid: coarse meaning at fine resolution, in equally wide maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Level, Neck


class FeaturePyramid(Neck):
    """A feature pyramid network (Lin, Dollár, Girshick, He, Hariharan and Belongie, 2017).

    Each map of the backbone passes a 1x1 convolution to a common width (lateral connection). From
    the coarsest on, each is enlarged to the next finer one by its nearest neighbours and added to
    it (top-down path), and a 3x3 convolution smooths every sum.

    Deviations: the pyramid has the backbone's levels and no coarser one.

    Args:
        levels: levels of the backbone's feature maps, fine to coarse.
        width: channels of all maps of the pyramid.

    Raises:
        LearnError: there are no levels.
    """

    def __init__(self, levels: Sequence[Level], *, width: int = 64) -> None:
        super().__init__()
        if not levels:
            raise LearnError("a pyramid needs at least one feature map; use another backbone")
        self.levels = tuple(replace(level, width=width) for level in levels)
        self.laterals = nn.ModuleList(nn.Conv2d(level.width, width, 1) for level in levels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in levels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The pyramid, fine to coarse."""
        sides = [lateral(each) for lateral, each in zip(self.laterals, maps, strict=True)]
        joined = [sides[-1]]
        for side in reversed(sides[:-1]):
            above = functional.interpolate(joined[0], size=side.shape[2:], mode="nearest")
            joined.insert(0, side + above)
        return [smooth(each) for smooth, each in zip(self.smooth, joined, strict=True)]
