"""DualToken-ViT: local features of convolutions and global tokens, fused in every block."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.learn.backbones.attention import attend, like, tokens
from glocal.learn.backbones.pyramid import CellLinear, ChannelNorm, Pyramid, Reduce, each_channel
from glocal.learn.graft import Residual
from glocal.learn.weights import load_if_given


class DualTokenBlock(nn.Module):
    """One block; cells ``X`` and global tokens ``G`` go in, and come out.

    ``X_local = X + FC(GELU(FC(LN(DWConv(X)))))``. ``X_local`` is made smaller step by step to
    ``S``; global tokens gather, ``G = G + MSA(G, [G; S], [G; S])``, and a feed-forward network with
    a 3x3 convolution on their grid tells them where they are. Cells receive ``X_global =
    MSA(X_local, G, G)``; the fusion is ``X_local + X_global``, and a feed-forward network follows.

    Args:
        width: channels.
        heads: heads of both attentions.
        steps: how often ``X_local`` is halved to ``S``.
        side: side of the grid of global tokens.
    """

    def __init__(self, width: int, heads: int, steps: int, side: int) -> None:
        super().__init__()
        self.heads, self.side = heads, side
        self.local = Residual(
            nn.Sequential(
                each_channel(width, 5),
                ChannelNorm(width),
                nn.Conv2d(width, 2 * width, 1),
                nn.GELU(),
                nn.Conv2d(2 * width, width, 1),
            )
        )
        halved: list[nn.Module] = []
        for _ in range(steps):
            halved += [nn.Conv2d(width, width, 3, 2, 1, groups=width), ChannelNorm(width)]
        self.smaller = nn.Sequential(*halved)
        self.gather = nn.ModuleDict(
            {name: nn.Linear(width, width) for name in ("query", "key", "value", "out")}
        )
        self.give = nn.ModuleDict(
            {name: nn.Linear(width, width) for name in ("query", "key", "value", "out")}
        )
        self.norm_tokens, self.norm_cells = nn.LayerNorm(width), nn.LayerNorm(width)
        self.norm_both = nn.LayerNorm(width)
        self.place = Residual(_feed(width))
        self.feed = Residual(_feed(width))

    def fuse(self, x: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """The fused cells, before the last feed-forward network, and the new global tokens.

        Args:
            x: ``(b, width, h, w)``.
            given: ``(b, side^2, width)``, row by row.
        """
        local = self.local(x)
        both = self.norm_both(torch.cat([given, tokens(self.smaller(local))], dim=1))
        given = given + self._attend(self.gather, self.norm_tokens(given), both)
        grid = given.transpose(1, 2).unflatten(2, (self.side, self.side))
        given = tokens(self.place(grid))
        shared = self._attend(self.give, self.norm_cells(tokens(local)), given)
        return local + like(shared, local), given

    def forward(self, x: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """New cells and global tokens, shaped like the given ones."""
        fused, given = self.fuse(x, given)
        return self.feed(fused), given

    def _attend(self, layers: nn.ModuleDict, query: Tensor, source: Tensor) -> Tensor:
        found: Tensor = layers["out"](
            attend(
                layers["query"](query), layers["key"](source), layers["value"](source), self.heads
            )
        )
        return found


class _Stage(nn.Module):
    """Layers that halve the map, and blocks; global tokens get the width of the stage first."""

    def __init__(self, down: nn.Module, widen: nn.Module, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.down, self.widen, self.blocks = down, widen, nn.ModuleList(blocks)

    def forward(self, x: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        x, given = self.down(x), self.widen(given)
        for block in self.blocks:
            x, given = block(x, given)
        return x, given


class _Tokens(nn.Module):
    """The global tokens that the first stage gets, one for each part of an image."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(1, side * side, width) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        return self.first.expand(len(x), -1, -1)


class DualTokenViT(Pyramid):
    """DualToken-ViT (Chu et al., 2023): stages at strides 8, 16 and 32.

    The global tokens, a grid of 7x7, pass through all blocks of all stages (`DualTokenBlock`).

    Deviations: the paper's table of widths, depths and inner widths was not at hand, and there is
    no public code, so that its two sizes (of 0.5 and 1.0 GFLOPs) are not here and no count is
    compared; layers follow the abstract and an excerpt of the paper. Convolutions halve the
    maps that keys come from, and these are not brought to 7x7 where an image is not 224 pixels.
    """

    widths: ClassVar[tuple[int, int, int]]
    depths: ClassVar[tuple[int, int, int]]
    heads: ClassVar[tuple[int, int, int]]
    grid: ClassVar[int] = 7

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        first = self.widths[0]
        stem = nn.Sequential(
            Reduce(3, first // 2, 3, 2, 1),
            nn.BatchNorm2d(first // 2),
            nn.GELU(),
            Reduce(first // 2, first, 3, 2, 1),
            nn.BatchNorm2d(first),
            nn.GELU(),
        )
        stages: list[nn.Module] = []
        before = first
        for number, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            down: nn.Module = nn.Sequential(Reduce(before, width, 3, 2, 1), ChannelNorm(width))
            widen = nn.Linear(before, width) if number else nn.Identity()
            blocks: list[nn.Module] = [
                DualTokenBlock(width, self.heads[number], 2 - number, self.grid)
                for _ in range(depth)
            ]
            stages.append(_Stage(down, widen, blocks))
            before = width
        self.assemble([stem, *stages], [first, *self.widths], "none")
        start = nn.ModuleList([stem, _Tokens(first, self.grid), stages[0]])
        self.stages = nn.ModuleList([start, *stages[1:]])
        load_if_given(self, weights)

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Compute the feature maps; global tokens go from stage to stage."""
        stem, start, first = (module for module in self.stages[0].children())
        x, given = stem(pixels), start(pixels)
        found = []
        for stage in (first, *self.stages[1:]):
            x, given = stage(x, given)
            found.append(x)
        return found


class DualTokenViTTiny(DualTokenViT):
    """The preset for small data: 0.2 M parameters."""

    widths, depths, heads, grid = (24, 32, 48), (1, 1, 1), (2, 2, 3), 4


def _feed(width: int) -> nn.Sequential:
    return nn.Sequential(
        ChannelNorm(width),
        CellLinear(width, 2 * width),
        each_channel(2 * width, 3),
        nn.GELU(),
        CellLinear(2 * width, width),
    )
