"""Average pooling."""

from __future__ import annotations

from torch import Tensor

from glocal.learn.heads.pooled import Pooled


class Average(Pooled):
    """The mean of each channel (Babenko and Lempitsky, 2015, without their centre prior)."""

    def pool(self, feature_map: Tensor) -> Tensor:
        """Make ``(b, c)`` of ``(b, c, h, w)``."""
        return feature_map.mean(dim=(2, 3))
