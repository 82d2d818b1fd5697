"""Average pooling."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from glocal.learn.heads.pooled import Pooled


class Average(Pooled):
    """The mean of each channel (Babenko and Lempitsky, 2015, without their centre prior)."""

    additive: ClassVar[bool] = True

    def pool(self, feature_map: Tensor) -> Tensor:
        """Pool ``(b, c, h, w)`` to ``(b, c)``."""
        return feature_map.mean(dim=(2, 3))

    def shares(self, feature_map: Tensor) -> Tensor:
        """Contribution of each cell to the mean."""
        return feature_map / (feature_map.shape[2] * feature_map.shape[3])
