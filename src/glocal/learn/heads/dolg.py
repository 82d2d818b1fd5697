"""DOLG: what the parts know that the whole does not, fused into one vector."""

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
    """Take from each cell what points along the image's vector.

    Args:
        local: ``(b, c, h, w)``.
        whole: ``(b, c)``.

    Returns:
        ``(b, c, h, w)``; every cell is orthogonal to its image's `whole`.
    """
    axis = functional.normalize(whole, dim=-1)[:, :, None, None]
    return local - (local * axis).sum(dim=1, keepdim=True) * axis


class Dolg(Head):
    """Deep orthogonal fusion of local and global features (Yang et al., 2021).

    The global branch is GeM of the coarsest map and a linear layer. The local branch takes the map
    before it through convolutions of several dilations and attention; its part orthogonal to the
    global vector is set beside that vector in each cell, averaged, and projected.

    The paper's widths are for ResNets (1024 inside, 512 to a branch); the defaults here suit small
    trunks. As in its authors' code, a 1x1 convolution is one of the branches, and cells are scaled
    to unit length before the attention weights them. Not as there, the branches end in batch
    normalisation and a rectifier, all but the one over the whole map, whose single value cannot be
    normalised.

    Args:
        levels: of the backbone's maps, two at least.
        dim: length of the vector.
        inner: width in which local and global meet.
        branch: width of each branch of the local part.
        dilations: of the 3x3 convolutions, in cells.
        power: of GeM.

    Raises:
        LearnError: the backbone has one map only.
    """

    mirrors: ClassVar[bool] = False  # 3x3 filters know left from right

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
            raise LearnError("DOLG fuses two maps; this backbone makes only one")
        self.dim, self.power = dim, power
        self.whole = nn.Linear(levels[-1].width, inner)
        self.atrous = _MultiAtrous(levels[-2].width, inner, branch, dilations)
        self.attention = _SelfAttention(inner)
        self.fuse = nn.Linear(2 * inner, dim)

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """Fuse the two coarsest maps."""
        whole, local, attention = self.branches(maps)
        apart = orthogonal_part(local, whole)
        # Averaging the global vector over all cells gives it back.
        fused = torch.cat([apart.mean(dim=(2, 3)), whole], dim=1)
        return Output(functional.normalize(self.fuse(fused).float(), dim=-1), attention=attention)

    def branches(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The global vector ``(b, c)``, local features ``(b, c, h, w)``, attention ``(b, h, w)``.

        All in single precision, so that orthogonal means orthogonal.
        """
        whole = self.whole(generalised_mean(maps[-1].float(), self.power)).float()
        local, attention = self.attention(self.atrous(maps[-2]))
        return whole, local, attention


class _MultiAtrous(nn.Module):
    """Convolutions that look near and far, side by side, and the mean of the whole map."""

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
    """Each cell's direction, times how much it counts."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width))
        self.score = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mixed = self.mix(x)
        attention = functional.softplus(self.score(functional.relu(mixed)).float())
        return functional.normalize(mixed.float(), dim=1) * attention, attention[:, 0]
