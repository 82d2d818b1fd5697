"""The base of heads that pool the coarsest map and whiten what they get."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from glocal.learn.contracts import Head, Level, Output
from glocal.learn.heads.whitening import Whitening


class Pooled(Head):
    """Pool, scale to unit length, whiten.

    A subclass writes `pool`, and `shares` if its pooling is a sum over places.

    Args:
        levels: of the backbone's maps; the last is pooled.
        dim: length of the vector; None for the pooled features as they are, not whitened.

    Attributes:
        additive: the vector is the sum of what each place contributes.
    """

    additive: ClassVar[bool] = False

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

    def shares(self, feature_map: Tensor) -> Tensor:
        """What each place adds to what `pool` gives: ``(b, c, h, w)``, for additive heads."""
        raise NotImplementedError(f"{type(self).__name__} is no sum over places")

    def contributions(self, maps: Sequence[Tensor]) -> Tensor:
        """What each place adds to the vector, for additive heads.

        The bias of the whitening belongs to no place, so each gets an even part of it; lengths are
        those of the whole.

        Returns:
            ``(b, h, w, d)``; its sum over ``h`` and ``w`` is the vector.
        """
        feature_map = maps[-1].float()
        shares: Tensor = self.shares(feature_map).permute(0, 2, 3, 1)
        shares = shares / _length(self.pool(feature_map))
        if self.whitening is None:
            return shares
        linear = self.whitening.linear
        whole = shares.sum(dim=(1, 2)) @ linear.weight.T + linear.bias
        places = feature_map.shape[2] * feature_map.shape[3]
        found: Tensor = (shares @ linear.weight.T + linear.bias / places) / _length(whole)
        return found


def _length(vectors: Tensor) -> Tensor:
    """Lengths of ``(b, c)``, in the shape ``(b, 1, 1, 1)``."""
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=-1).clamp(min=1e-12)
    return lengths[:, None, None, None]
