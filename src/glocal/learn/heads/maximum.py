"""Max pooling."""

from __future__ import annotations

from torch import Tensor

from glocal.learn.heads.pooled import Pooled


class Maximum(Pooled):
    """The maximum of each channel, called MAC (Razavian et al., 2016)."""

    def pool(self, feature_map: Tensor) -> Tensor:
        """Pool ``(b, c, h, w)`` to ``(b, c)``."""
        return feature_map.amax(dim=(2, 3))
