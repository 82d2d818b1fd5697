"""FIT: layers within groups of data tokens take turns with layers over latent tokens of all."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.learn.backbones.attention import SelfAttention, attend
from glocal.learn.contracts import Backbone, Level
from glocal.learn.graft import Residual
from glocal.learn.weights import load_if_given

_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SIDE, _LONGEST = 1000.0, 10000.0
Grouped = tuple[Tensor, Tensor]
"""Data tokens ``(b, rows, columns, n, d)`` of groups, and their latents, likewise with ``m``."""


class Exchange(nn.Module):
    """Cross-attention within each group: ``y + softmax(Q K^T / sqrt(d)) V``.

    Queries come from ``LN(y)``, keys and values from ``LN(source)``; the heads divide the smaller
    of both widths.

    Args:
        width: channels of the tokens that receive.
        source: channels of the tokens that are read.
        heads: number of heads.
    """

    def __init__(self, width: int, source: int, heads: int) -> None:
        super().__init__()
        inner = min(width, source)
        self.heads = heads
        self.norm, self.norm_source = (nn.LayerNorm(size, eps=1e-6) for size in (width, source))
        self.query, self.out = nn.Linear(width, inner), nn.Linear(inner, width)
        self.key_value = nn.Linear(source, 2 * inner)

    def forward(self, y: Tensor, source: Tensor) -> Tensor:
        """From ``(..., n, width)`` and ``(..., m, source)`` to the shape of the first."""
        key, value = self.key_value(self.norm_source(source)).chunk(2, dim=-1)
        found: Tensor = self.out(attend(self.query(self.norm(y)), key, value, self.heads))
        return y + found


class FitBlock(nn.Module):
    """One turn: local layers, latents read, global layers, data tokens read.

    ``x = local(x)`` in each group, ``z = z + Attn(z, x)`` in each group, ``z = global(z)`` over the
    latents of all groups, ``x = x + Attn(x, z)`` in each group. Layers are those of a transformer.

    Args:
        widths: channels of data tokens and of latents.
        heads: heads of local layers and of global ones; the exchange has the smaller number.
        local: number of local layers.
        across: number of global layers; without any, latents stay as they are.
    """

    def __init__(
        self, widths: tuple[int, int], heads: tuple[int, int], local: int, across: int
    ) -> None:
        super().__init__()
        self.local = _layers(widths[0], heads[0], local)
        self.across = _layers(widths[1], heads[1], across)
        if across:
            self.read = Exchange(widths[1], widths[0], min(heads))
            self.give = Exchange(widths[0], widths[1], min(heads))

    def forward(self, x: Tensor, latents: Tensor) -> Grouped:
        """New data tokens and latents, shaped like the given ones."""
        x = self.local(x)
        if not len(self.across):
            return x, latents
        latents = self.read(latents, x)
        latents = self.across(latents.flatten(1, 3)).reshape(latents.shape)
        return self.give(x, latents), latents


class _Start(nn.Module):
    """Patches in groups, with their places in the group; latents, with the places of groups."""

    def __init__(self, patch: int, side: int, latents: int, widths: tuple[int, int]) -> None:
        super().__init__()
        self.side = side
        self.patches = nn.Conv2d(3, widths[0], patch, patch)
        self.norm = nn.LayerNorm(widths[0], eps=1e-6)
        self.slots = nn.Parameter(torch.randn(latents, widths[1]))

    def forward(self, pixels: Tensor) -> Grouped:
        cells = self.patches(pixels)
        cut = cells.unflatten(3, (-1, self.side)).unflatten(2, (-1, self.side))
        x = self.norm(cut.permute(0, 2, 4, 3, 5, 1).flatten(3, 4))
        x = x + place_codes(self.side, self.side, x).flatten(0, 1)
        rows, columns = x.shape[1:3]
        latents = (place_codes(rows, columns, self.slots)[:, :, None] + self.slots)[None]
        return x, latents.expand(len(x), -1, -1, -1, -1)


class _End(nn.Module):
    """Normalised data tokens as a map, and the mean of each group's latents as another."""

    def __init__(self, side: int, widths: tuple[int, int]) -> None:
        super().__init__()
        self.side = side
        self.norm, self.norm_latents = (nn.LayerNorm(width, eps=1e-6) for width in widths)

    def forward(self, x: Tensor, latents: Tensor) -> list[Tensor]:
        cut = self.norm(x).unflatten(3, (self.side, self.side))
        cells = cut.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
        return [cells, self.norm_latents(latents).mean(dim=3).permute(0, 3, 1, 2)]


class Fit(Backbone):
    """Far-reaching interleaved transformer (Chen and Li, 2023) as an encoder of images.

    Patches are data tokens, ``n`` of them in each square group, which has ``m`` latents. Blocks
    (`FitBlock`) follow one another; attention costs ``O(L n)`` within groups and ``O((L m / n)^2)``
    between the latents of ``L`` tokens. The first feature map has the data tokens, the second one
    cell for each group: the mean of its latents.

    Deviations: the paper's table of sizes was not at hand and the authors' code has none, so that
    no count is compared, and both presets are of our own. Layers follow that code, ``(l)g(l)g(l)``
    in its notation. Places of data tokens in their group are sines and cosines, one of its two
    ways; latents get those of their group's row and column besides what is learned for each of
    the ``m``, where that code learns one latent for each place of one image size. So the same
    weights take all image sizes that groups divide. No dropout and no stochastic depth.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    patch: ClassVar[int]
    group: ClassVar[int]
    latents: ClassVar[int]
    widths: ClassVar[tuple[int, int]]
    heads: ClassVar[tuple[int, int]]
    blocks: ClassVar[tuple[tuple[int, int], ...]]

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        turns = [FitBlock(self.widths, self.heads, *numbers) for numbers in self.blocks]
        self.stages = nn.ModuleList(
            [
                _Start(self.patch, self.group, self.latents, self.widths),
                *turns,
                _End(self.group, self.widths),
            ]
        )
        strides = (self.patch, self.patch * self.group)
        self.levels = tuple(
            Level(stride, width, stride / 2)
            for stride, width in zip(strides, self.widths, strict=True)
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for name, values in (("mean", _MEAN), ("spread", _SPREAD)):
            shaped = torch.tensor(values).reshape(1, 3, 1, 1)
            self.register_buffer(name, shaped, persistent=False)
        load_if_given(self, weights)

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Data tokens and latents go through all blocks together."""
        start, *turns, end = self.stages
        x, latents = start(pixels)
        for turn in turns:
            x, latents = turn(x, latents)
        found: list[Tensor] = end(x, latents)
        return found

    def normalise(self, image: Tensor) -> Tensor:
        """Shift and scale pixels in [0, 1] by ImageNet's mean and spread."""
        return (image - self.get_buffer("mean")) / self.get_buffer("spread")


class FitTiny(Fit):
    """The preset for small data: 4x4 patches, groups of 16 pixels, 0.2 M parameters."""

    patch, group, latents = 4, 4, 2
    widths, heads, blocks = (48, 64), (2, 2), ((1, 1), (1, 1), (1, 0))


class FitLargeImages(Fit):
    """A preset for images of thousands of pixels: 16x16 patches, groups of 256 pixels.

    An image of 6400x6400 pixels has 160,000 data tokens in 625 groups, and 5,000 latents.
    """

    patch, group, latents = 16, 16, 8
    widths, heads, blocks = (128, 256), (2, 4), ((1, 4), (1, 4), (2, 0))


def place_codes(rows: int, columns: int, like: Tensor) -> Tensor:
    """Sines and cosines of places on a grid, whose sides are taken to be 1000 whatever they are.

    The first half of the channels tells the row and the second half the column, each with
    wavelengths from ``2 pi`` to ``2 pi 10000``.

    Args:
        rows: places from top to bottom.
        columns: places from left to right.
        like: ``(..., width)``, whose width, a multiple of 4, type and device the codes have.

    Returns:
        ``(rows, columns, width)``.
    """
    count = like.shape[-1] // 4
    steps = torch.arange(count, device=like.device, dtype=like.dtype)
    rates = _LONGEST ** (-steps / count)
    halves = []
    for side in (rows, columns):
        place = torch.arange(side, device=like.device, dtype=like.dtype) + 0.5
        angles = (place * _SIDE / side)[:, None] * rates
        halves.append(torch.cat([angles.sin(), angles.cos()], dim=1))
    down = halves[0][:, None].expand(-1, columns, -1)
    return torch.cat([down, halves[1][None].expand(rows, -1, -1)], dim=2)


def _layers(width: int, heads: int, count: int) -> nn.Sequential:
    made: list[nn.Module] = []
    for _ in range(count):
        attention = nn.Sequential(nn.LayerNorm(width, eps=1e-6), SelfAttention(width, heads))
        perceptron = nn.Sequential(
            nn.LayerNorm(width, eps=1e-6),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        )
        made += [Residual(attention), Residual(perceptron)]
    return nn.Sequential(*made)
