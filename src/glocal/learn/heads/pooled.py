"""The base of heads that pool the coarsest map and whiten what they get."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from glocal.learn.contracts import Head, Level, Output
from glocal.learn.heads.whitening import Whitening


class Pooled(Head):
    """Pool, scale to unit length, whiten.

    A subclass writes `pool`.

    Args:
        levels: of the backbone's maps; the last is pooled.
        dim: length of the vector; None for the pooled features as they are, not whitened.
    """

    def __init__(self, levels: Sequence[Level], *, dim: int | None = None) -> None:
        super().__init__()
        width = levels[-1].width
        self.dim = dim or width
        self.whitening = Whitening(width, dim) if dim else None

    @abstractmethod
    def pool(self, feature_map: Tensor) -> Tensor:
        """Make ``(b, c)`` of ``(b, c, h, w)`` float32."""

    def pooled(self, maps: Sequence[Tensor]) -> Tensor:
        """The pooled features before whitening: ``(b, width)``, unit rows."""
        # Powers leave the range of half precision.
        return functional.normalize(self.pool(maps[-1].float()), dim=-1)

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """Pool the coarsest of the maps."""
        pooled = self.pooled(maps)
        return Output(pooled if self.whitening is None else self.whitening(pooled))
