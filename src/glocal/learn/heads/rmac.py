"""R-MAC: maxima over regions of several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from glocal.learn.contracts import Level, Output
from glocal.learn.heads.pooled import Pooled

_OVERLAP = 0.4
_MOST_REGIONS = 6  # additional regions along the longer side; panoramas need no more


def regions(height: int, width: int, scales: int) -> list[tuple[int, int, int]]:
    """Square regions of a feature map, large to small, as (top, left, side).

    At scale ``l`` squares have the side ``2 * min(height, width) / (l + 1)``, rounded down. There
    are ``l`` of them along the shorter side. Along the longer side there are more, by the same
    number at every scale: the one that brings the overlap of neighbours at the first scale closest
    to 40 %. They are spread evenly. The paper leaves the rounding of corners open; here it is down.
    """
    short, long = min(height, width), max(height, width)
    more = 0
    if long > short:

        def overlap(extra: int) -> float:
            return 1 - (long - short) / extra / short

        more = min(range(1, _MOST_REGIONS + 1), key=lambda extra: abs(overlap(extra) - _OVERLAP))
    found = []
    for scale in range(1, scales + 1):
        side = 2 * short // (scale + 1)
        if side == 0:
            break
        rows = _starts(height, side, scale + (more if height > width else 0))
        columns = _starts(width, side, scale + (more if width > height else 0))
        found += [(top, left, side) for top in rows for left in columns]
    return found


def _starts(length: int, side: int, count: int) -> list[int]:
    step = (length - side) / (count - 1) if count > 1 else 0.0
    return [int(step * number) for number in range(count)]


class Rmac(Pooled):
    """The sum of whitened maxima over regions (Tolias, Sicre and Jégou, 2016).

    The maxima of each region are scaled to unit length, whitened and scaled again before they are
    summed. The regions depend on the shape of the feature map, so an ONNX graph fits one size of
    images.

    Args:
        levels: levels of the backbone's feature maps; the last is pooled.
        dim: length of the vector; None for no whitening.
        scales: number of sizes of regions.
    """

    mirrors: ClassVar[bool] = False  # corners are rounded towards the left
    fixed_size: ClassVar[bool] = True

    def __init__(self, levels: Sequence[Level], *, dim: int | None = None, scales: int = 3) -> None:
        super().__init__(levels, dim=dim)
        self.scales = scales

    def pool(self, feature_map: Tensor) -> Tensor:
        """Sum the unit maxima over regions, without whitening."""
        return functional.normalize(self._maxima(feature_map), dim=-1).sum(dim=1)

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """Pool the coarsest feature map, whitening each region."""
        parts = functional.normalize(self._maxima(maps[-1].float()), dim=-1)
        if self.whitening is not None:
            parts = self.whitening(parts)
        return Output(functional.normalize(parts.sum(dim=1), dim=-1))

    def _maxima(self, feature_map: Tensor) -> Tensor:
        height, width = int(feature_map.shape[2]), int(feature_map.shape[3])
        parts = [
            feature_map[:, :, top : top + side, left : left + side].amax(dim=(2, 3))
            for top, left, side in regions(height, width, self.scales)
        ]
        return torch.stack(parts, dim=1)
