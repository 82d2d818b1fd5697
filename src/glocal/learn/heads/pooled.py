"""The base of heads that pool the coarsest feature map and whiten the result."""

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

    A subclass implements `pool`, and `shares` if its pooling is a sum over cells.

    Args:
        levels: levels of the backbone's feature maps; the last is pooled.
        dim: length of the vector; None for the pooled features without whitening.

    Attributes:
        additive: whether the vector is the sum of a contribution of each cell.
    """

    additive: ClassVar[bool] = False

    def __init__(self, levels: Sequence[Level], *, dim: int | None = None) -> None:
        super().__init__()
        width = levels[-1].width
        self.dim = dim or width
        self.whitening = Whitening(width, dim) if dim else None

    @abstractmethod
    def pool(self, feature_map: Tensor) -> Tensor:
        """Pool ``(b, c, h, w)`` float32 to ``(b, c)``."""

    def pooled(self, maps: Sequence[Tensor]) -> Tensor:
        """The pooled features before whitening: ``(b, width)``, unit rows."""
        # Powers exceed the range of half precision.
        return functional.normalize(self.pool(maps[-1].float()), dim=-1)

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """Pool the coarsest feature map."""
        pooled = self.pooled(maps)
        return Output(pooled if self.whitening is None else self.whitening(pooled))

    def shares(self, feature_map: Tensor) -> Tensor:
        """Contribution of each cell to `pool`'s result: ``(b, c, h, w)``; additive heads only."""
        raise NotImplementedError(f"{type(self).__name__} is not a sum over cells")

    def contributions(self, maps: Sequence[Tensor]) -> Tensor:
        """Contribution of each cell to the vector; additive heads only.

        The bias of the whitening belongs to no cell, so each cell gets an even part of it;
        normalisation divides by the length of the sum.

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
        cells = feature_map.shape[2] * feature_map.shape[3]
        found: Tensor = (shares @ linear.weight.T + linear.bias / cells) / _length(whole)
        return found


def _length(vectors: Tensor) -> Tensor:
    """Lengths of ``(b, c)``, in the shape ``(b, 1, 1, 1)``."""
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=-1).clamp(min=1e-12)
    return lengths[:, None, None, None]
