"""Moment probing: mean and cross-covariances of the cells' features make the vector."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Head, Level, Output
from glocal.learn.heads.whitening import Whitening


class MomentProbing(Head):
    """The probe of first and second moments of a fixed backbone's features (Gao et al., 2023).

    A linear probe sees the mean of the features of all tokens (here: cells) ``X``, the first
    moment. This one also sees second moments, by multi-head convolutional cross-covariance: a 1x1
    convolution narrows ``X``, the channels are split into heads ``X_1 ... X_h``, and the
    cross-covariances of neighbouring heads ``X_k^T X_(k+1) / n`` are the channels of an image,
    which two strided 3x3 convolutions make small. Both moments are joined and projected.

    Deviations: the tokens are the cells of the coarsest map; the projection is normalised to the
        vector, where the paper has a classifier; the covariances are scaled by ``1 / n`` and
        centred. The paper's recalibration of the backbone (MP+) is not part of it.

    Args:
        levels: levels of the backbone's feature maps; the last is used.
        dim: length of the vector.
        heads: number of heads ``h``, at least 2.
        narrow: channels of each head.

    Raises:
        LearnError: there are fewer than two heads.
    """

    def __init__(
        self, levels: Sequence[Level], *, dim: int = 512, heads: int = 4, narrow: int = 16
    ) -> None:
        super().__init__()
        if heads < 2:
            raise LearnError(f"cross-covariances need two or more heads, not {heads}")
        width = levels[-1].width
        self.dim, self.heads = dim, heads
        self.narrow = nn.Conv2d(width, heads * narrow, 1)
        self.shrink = nn.Sequential(
            nn.Conv2d(heads - 1, 8, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
        )
        side = math.ceil(narrow / 4)
        self.norm = nn.LayerNorm(16 * side * side)
        self.whitening = Whitening(width + 16 * side * side, dim)

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """Join the moments of the coarsest feature map, and project them."""
        x = maps[-1].float()
        first = functional.normalize(x.mean(dim=(2, 3)), dim=-1)
        second = self.norm(self.shrink(self.covariances(x)).flatten(1))
        second = functional.normalize(second.float(), dim=-1)
        return Output(self.whitening(torch.cat([first, second], dim=1)))

    def covariances(self, x: Tensor) -> Tensor:
        """The cross-covariances of neighbouring heads, ``(b, heads - 1, narrow, narrow)``.

        Args:
            x: ``(b, c, h, w)``.
        """
        parts = self.narrow(x).flatten(2).float()
        parts = parts - parts.mean(dim=2, keepdim=True)
        parts = parts.reshape(len(x), self.heads, -1, parts.shape[2])
        found: Tensor = parts[:, :-1] @ parts[:, 1:].transpose(2, 3) / parts.shape[3]
        return found
