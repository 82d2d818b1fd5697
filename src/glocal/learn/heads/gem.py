"""Generalised-mean pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.learn.contracts import Level
from glocal.learn.heads.pooled import Pooled

_LEAST = 1e-6  # smallest activation, so that powers and their gradients stay finite


def generalised_mean(feature_map: Tensor, power: Tensor | float) -> Tensor:
    """The ``power``-th root of the mean of the ``power``-th powers, for each channel.

    Args:
        feature_map: ``(b, c, h, w)`` float32; values below 1e-6 count as 1e-6.
        power: 1 is the average; towards infinity it is the maximum.

    Returns:
        ``(b, c)``.
    """
    return feature_map.clamp(min=_LEAST).pow(power).mean(dim=(2, 3)).pow(1 / power)


class Gem(Pooled):
    """Generalised mean with a learned power, then learned whitening (Radenović et al., 2019).

    Args:
        levels: levels of the backbone's feature maps; the last is pooled.
        dim: length of the vector; None for the pooled features without whitening.
        power: initial power.
        learn_power: whether the power is learned.
    """

    additive: ClassVar[bool] = True

    def __init__(
        self,
        levels: Sequence[Level],
        *,
        dim: int | None = None,
        power: float = 3.0,
        learn_power: bool = True,
    ) -> None:
        super().__init__(levels, dim=dim)
        self.power = nn.Parameter(torch.tensor(power), requires_grad=learn_power)

    def pool(self, feature_map: Tensor) -> Tensor:
        """Pool ``(b, c, h, w)`` to ``(b, c)``."""
        # Below 1 the mean is useless; training does not lead there, but a single step might.
        return generalised_mean(feature_map, self.power.float().clamp(min=1))

    def shares(self, feature_map: Tensor) -> Tensor:
        """Contribution of each cell to the mean ``f``: ``x^p / (n f^(p-1))``."""
        power = self.power.float().clamp(min=1)
        x = feature_map.clamp(min=_LEAST)
        raised = x.pow(power)
        mean = raised.mean(dim=(2, 3), keepdim=True)
        # mean^(1/p) / mean, with one power less to compute.
        return raised * mean.pow(1 / power - 1) / (feature_map.shape[2] * feature_map.shape[3])
