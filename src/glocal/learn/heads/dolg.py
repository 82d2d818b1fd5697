"""DOLG: fuse the local information that the global vector lacks with it into one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Head, Level, Output
from glocal.learn.heads.gem import generalised_mean


def orthogonal_part(local: Tensor, whole: Tensor) -> Tensor:
    """Remove from each cell its component along the image's vector.

    Args:
        local: ``(b, c, h, w)``.
        whole: ``(b, c)``.

    Returns:
        ``(b, c, h, w)``; every cell is orthogonal to the `whole` of its image.
    """
    axis = functional.normalize(whole, dim=-1)[:, :, None, None]
    return local - (local * axis).sum(dim=1, keepdim=True) * axis


class Dolg(Head):
    """Deep orthogonal fusion of local and global features (Yang et al., 2021).

    The global branch is GeM of the coarsest feature map and a linear layer. The local branch takes
    the feature map before it through convolutions of several dilations and attention; its component
    orthogonal to the global vector is concatenated with that vector in each cell, averaged, and
    projected.

    The paper's widths are for ResNets (1024 inside, 512 per branch); the defaults here suit small
    backbones. As in the authors' code, a 1x1 convolution is one of the branches, and cells are
    scaled to unit length before the attention weights them. Unlike there, the branches end in batch
    normalisation and a rectifier, except the one over the whole feature map, whose single value
    cannot be normalised.

    Args:
        levels: levels of the backbone's feature maps, at least two.
        dim: length of the vector.
        inner: common width of the local and global features.
        branch: width of each branch of the local part.
        dilations: dilations of the 3x3 convolutions, in cells.
        power: power of GeM.

    Raises:
        LearnError: the backbone has only one feature map.
    """

    mirrors: ClassVar[bool] = False  # 3x3 filters tell left from right

    def __init__(
        self,
        levels: Sequence[Level],
        *,
        dim: int = 512,
        inner: int = 256,
        branch: int = 128,
        dilations: Sequence[int] = (6, 12, 18),
        power: float = 3.0,
    ) -> None:
        super().__init__()
        if len(levels) < 2:
            raise LearnError(
                "the head dolg fuses two feature maps, but this backbone has one; use another"
            )
        self.dim, self.power = dim, power
        self.whole = nn.Linear(levels[-1].width, inner)
        self.atrous = _MultiAtrous(levels[-2].width, inner, branch, dilations)
        self.attention = _SelfAttention(inner)
        self.fuse = nn.Linear(2 * inner, dim)

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """Fuse the two coarsest feature maps."""
        whole, local, attention = self.branches(maps)
        apart = orthogonal_part(local, whole)
        # The mean of the global vector over all cells is the vector itself.
        fused = torch.cat([apart.mean(dim=(2, 3)), whole], dim=1)
        return Output(functional.normalize(self.fuse(fused).float(), dim=-1), attention=attention)

    def branches(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The global vector ``(b, c)``, local features ``(b, c, h, w)``, attention ``(b, h, w)``.

        All are in single precision, so that they are orthogonal to rounding.
        """
        whole = self.whole(generalised_mean(maps[-1].float(), self.power)).float()
        local, attention = self.attention(self.atrous(maps[-2]))
        return whole, local, attention


class _MultiAtrous(nn.Module):
    """Parallel convolutions of several dilations, and the mean of the whole feature map."""

    def __init__(self, width: int, out: int, branch: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.near = _normalised(nn.Conv2d(width, branch, 1, bias=False))
        self.spread = nn.ModuleList(
            _normalised(nn.Conv2d(width, branch, 3, padding=rate, dilation=rate, bias=False))
            for rate in dilations
        )
        self.all = nn.Sequential(nn.Conv2d(width, branch, 1), nn.ReLU())
        branches = len(dilations) + 2
        self.join = _normalised(nn.Conv2d(branch * branches, out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.near(x), *(layer(x) for layer in self.spread)]
        everywhere = self.all(x.mean(dim=(2, 3), keepdim=True)).expand_as(parts[0])
        joined: Tensor = self.join(torch.cat([*parts, everywhere], dim=1))
        return joined


def _normalised(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU())


class _SelfAttention(nn.Module):
    """Unit features of the cells, times their attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width))
        self.score = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mixed = self.mix(x)
        attention = functional.softplus(self.score(functional.relu(mixed)).float())
        return functional.normalize(mixed.float(), dim=1) * attention, attention[:, 0]
