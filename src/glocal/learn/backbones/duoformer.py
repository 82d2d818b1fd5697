"""DuoFormer: attention over the scales of a cell, then over the cells, above any backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.backbones.attention import attend
from glocal.learn.contracts import Backbone, Level
from glocal.registry import part


class DuoFormer(Backbone):
    """DuoFormer (Tang et al., Hierarchical Representations by Local and Global Attention, 2024).

    The maps of a convolutional backbone become tokens of one width. All tokens of all scales that
    lie in one cell of the coarsest map, and a token of the cell's own, attend to each other
    (scale-wise, local attention); then the cells' own tokens attend to each other (patch-wise,
    global attention). Both are pre-normalised multi-head attention with a residual sum, as is the
    perceptron after them. Tokens go back to their places, so that all maps come out again.

    Deviations: the paper classifies from the tokens and gives no maps; it has as many scale blocks
    as its pyramid has and one patch block after each, here both alternate `depth` times; tokens
    have a learned embedding of their place within the cell, and cells have none, since the
    backbone's padding tells where they are and images may have any size.

    Args:
        weights: those of the backbone.
        backbone: registered name of the backbone whose maps are used.
        width: channels of the tokens and of all maps that come out.
        depth: number of blocks.
        heads: heads of each attention.

    Raises:
        LearnError: the strides of the backbone's maps do not divide each other.
    """

    def __init__(
        self,
        *,
        weights: str = "imagenet",
        backbone: str = "efficientnet-lite0",
        width: int = 192,
        depth: int = 4,
        heads: int = 6,
    ) -> None:
        super().__init__()
        trunk: Backbone = part("backbone", backbone).load()(weights=weights)
        strides = [level.stride for level in trunk.levels]
        if any(strides[-1] % stride for stride in strides) or width % heads:
            raise LearnError(
                f"maps of strides {strides} cannot become tokens of {width} channels and {heads} "
                "heads; use strides and heads that divide"
            )
        self.levels = tuple(Level(level.stride, width, level.offset) for level in trunk.levels)
        blocks = [DuoBlock(width, heads) for _ in range(depth)]
        self.stages = nn.ModuleList([trunk, _Former(trunk.levels, width, blocks)])

    @classmethod
    def tiny(cls) -> DuoFormer:
        """The preset for small data, above `densenet-tiny`."""
        return cls(weights="none", backbone="densenet-tiny", width=32, depth=2, heads=2)

    @property
    def multiple(self) -> int:
        """Height and width of an image have to be multiples of this many pixels."""
        return self._trunk.multiple

    def normalise(self, image: Tensor) -> Tensor:
        """As the backbone does."""
        return self._trunk.normalise(image)

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Compute the feature maps: tokens of each scale, the cell's own added to the coarsest."""
        found: list[Tensor] = self.stages[1](self._trunk.maps(pixels))
        return found

    @property
    def _trunk(self) -> Backbone:
        return cast(Backbone, self.stages[0])


class _Former(nn.Module):
    """Maps to tokens, blocks, and tokens to maps."""

    def __init__(self, levels: Sequence[Level], width: int, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.sides = [levels[-1].stride // level.stride for level in levels]
        self.counts = [1, *(side * side for side in self.sides)]  # tokens of a cell
        self.embed = nn.ModuleList(nn.Conv2d(level.width, width, 1) for level in levels)
        self.places = nn.Parameter(0.02 * torch.randn(sum(self.counts), width))
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        maps = [embed(m) for embed, m in zip(self.embed, maps, strict=True)]
        batch, width, rows, columns = maps[-1].shape
        cells = [_to_cells(m, side) for m, side in zip(maps, self.sides, strict=True)]
        tokens = torch.cat([torch.zeros_like(cells[-1]), *cells], dim=2) + self.places
        for block in self.blocks:
            tokens = block(tokens)
        own, *cells = self.norm(tokens).split(self.counts, dim=2)
        cells[-1] = cells[-1] + own
        return [
            _to_map(c.reshape(batch, rows, columns, side, side, width))
            for c, side in zip(cells, self.sides, strict=True)
        ]


class DuoBlock(nn.Module):
    """Scale-wise attention within each cell, patch-wise attention between cells, a perceptron.

    Args:
        width: channels of tokens.
        heads: heads of each attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.scales, self.patches = _Attention(width, heads), _Attention(width, heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(),
            nn.Linear(2 * width, width),
        )  # fmt: skip

    def forward(self, tokens: Tensor) -> Tensor:
        """``(b, cells, tokens of a cell, width)``, the cell's own token first."""
        tokens = tokens + self.scales(tokens)
        own = tokens[:, :, 0]
        tokens = torch.cat([(own + self.patches(own))[:, :, None], tokens[:, :, 1:]], dim=2)
        found: Tensor = tokens + self.mlp(tokens)
        return found


class _Attention(nn.Module):
    """Multi-head attention over the last but one axis, normalised before."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(self.norm(x)).chunk(3, dim=-1)
        found: Tensor = self.project(attend(query, key, value, self.heads))
        return found


def _to_cells(feature_map: Tensor, side: int) -> Tensor:
    """``(b, c, h, w)`` as ``(b, cells, side * side, c)``."""
    batch, width, height, breadth = feature_map.shape
    rows, columns = height // side, breadth // side
    cells = feature_map.reshape(batch, width, rows, side, columns, side)
    cells = cells.permute(0, 2, 4, 3, 5, 1)
    return cells.reshape(batch, rows * columns, side * side, width)


def _to_map(cells: Tensor) -> Tensor:
    """``(b, rows, columns, side, side, c)`` as ``(b, c, h, w)``."""
    batch, rows, columns, side, _, width = cells.shape
    moved = cells.permute(0, 5, 1, 3, 2, 4)
    return moved.reshape(batch, width, rows * side, columns * side)
