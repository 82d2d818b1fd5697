"""DHVT: a vision transformer with convolutions and head tokens, for training on few images."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Backbone, Level
from glocal.learn.weights import load_if_given

_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Affine(nn.Module):
    """A learned factor and shift of each channel, ``alpha x + beta``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(width, 1, 1))
        self.beta = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift ``(b, width, h, w)``."""
        return self.alpha * x + self.beta


class HeadTokenAttention(nn.Module):
    """Self-attention in which each head is also a token that the others attend to.

    The mean of a head's channels over all tokens is projected to the full width,
    ``GELU(LN(W mean_n(x_head)))``, gets a position of its own, and joins the tokens, so that groups
    of channels are compared with one another. Afterwards the mean of the head tokens is added to
    the class token.

    Args:
        width: channels of a token.
        heads: attention heads, and so head tokens.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, each = heads, width // heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.norm = nn.Linear(each, width), nn.LayerNorm(each)
        self.position = nn.Parameter(torch.empty(1, heads, width))
        nn.init.trunc_normal_(self.position, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Attend; ``(b, 1 + n, width)``, the class token first."""
        joined = torch.cat([tokens, self.head_tokens(tokens)], dim=1)
        batch, count, width = joined.shape
        split = self.qkv(joined).reshape(batch, count, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        found = functional.scaled_dot_product_attention(query, key, value)
        found = self.out(found.transpose(1, 2).reshape(batch, count, width))
        known, added = found[:, : -self.heads], found[:, -self.heads :]
        first = known[:, :1] + added.mean(dim=1, keepdim=True)
        return torch.cat([first, known[:, 1:]], dim=1)

    def head_tokens(self, tokens: Tensor) -> Tensor:
        """One token for each head, ``(b, heads, width)``."""
        batch, _, width = tokens.shape
        means = tokens.mean(dim=1).reshape(batch, self.heads, width // self.heads)
        wide = self.widen(means).reshape(batch, self.heads, self.heads, width // self.heads)
        return functional.gelu(self.norm(wide)).reshape(batch, self.heads, width) + self.position


class AggregatingMlp(nn.Module):
    """A perceptron with a 3x3 convolution in it, whose mean re-calibrates the class token.

    Args:
        width: channels.
        hidden: channels inside.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(width, hidden, 1), nn.BatchNorm2d(hidden), nn.GELU())
        self.near = nn.Sequential(
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.BatchNorm2d(hidden),
            nn.GELU(),
        )
        self.leave = nn.Sequential(nn.Conv2d(hidden, width, 1), nn.BatchNorm2d(width))
        self.gate = nn.Sequential(
            nn.Linear(width, width // 4), nn.GELU(), nn.Linear(width // 4, width)
        )

    def forward(self, first: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        """From the class token ``(b, width)`` and cells ``(b, width, h, w)`` to both."""
        inside = self.enter(cells)
        found = self.leave(inside + self.near(inside))
        return first * self.gate(found.mean(dim=(2, 3))), found


class DhvtBlock(nn.Module):
    """Attention with head tokens and the aggregating perceptron, each with a shortcut."""

    def __init__(self, width: int, heads: int, ratio: int = 4) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.attention = HeadTokenAttention(width, heads)
        self.mlp = AggregatingMlp(width, ratio * width)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Refine ``(b, 1 + height * width, d)``."""
        tokens = tokens + self.attention(self.norm1(tokens))
        normed = self.norm2(tokens)
        cells = normed[:, 1:].transpose(1, 2).unflatten(2, (height, width))
        first, found = self.mlp(normed[:, 0], cells)
        return tokens + torch.cat([first[:, None], found.flatten(2).transpose(1, 2)], dim=1)


class Dhvt(Backbone):
    """Dynamic hybrid vision transformer (Lu, Xie, Liu and Zhang, 2022), for 16x16 patches.

    Patches are embedded by 3x3 convolutions of stride 2 between two affine layers, which stand in
    for positions (SOPE); attention has head tokens (HI-MHSA); the perceptron has a depthwise
    convolution, and its mean gates the class token (DAFF).

    Deviations: the class token has no place in a feature map, and is added to every cell of it, so
    that the mean of the map carries it; no stochastic depth.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    width: ClassVar[int]
    depth: ClassVar[int] = 12
    heads: ClassVar[int]
    patch: ClassVar[int] = 16

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        halvings = self.patch.bit_length() - 1
        before, layers = 3, list[nn.Module]()
        for number in range(halvings):
            after = self.width >> (halvings - 1 - number)
            layers += [
                *([nn.GELU()] if number else []),
                nn.Conv2d(before, after, 3, 2, 1, bias=False),
                nn.BatchNorm2d(after),
            ]
            before = after
        self.embed = nn.Sequential(Affine(3), *layers, Affine(self.width))
        self.first = nn.ParameterList([nn.Parameter(torch.empty(1, 1, self.width))])
        self.blocks = nn.ModuleList(DhvtBlock(self.width, self.heads) for _ in range(self.depth))
        self.norm = nn.LayerNorm(self.width, eps=1e-6)
        self.stages = nn.ModuleList(
            [nn.ModuleList([self.embed, self.first, self.blocks, self.norm])]
        )
        self.levels = (Level(self.patch, self.width, 0.5),)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.first[0], std=0.02)
        for name, values in (("mean", _MEAN), ("spread", _SPREAD)):
            shaped = torch.tensor(values).reshape(1, 3, 1, 1)
            self.register_buffer(name, shaped, persistent=False)
        load_if_given(self, weights)

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """The cells of the last layer, with the class token added."""
        cells = self.embed(pixels)
        height, width = cells.shape[2:]
        first = self.first[0].expand(len(cells), -1, -1)
        tokens = torch.cat([first, cells.flatten(2).transpose(1, 2)], dim=1)
        for block in self.blocks:
            tokens = block(tokens, height, width)
        tokens = self.norm(tokens)
        found = tokens[:, 1:] + tokens[:, :1]
        return [found.transpose(1, 2).unflatten(2, (height, width))]

    def normalise(self, image: Tensor) -> Tensor:
        """Shift and scale pixels in [0, 1] by ImageNet's mean and spread."""
        return (image - self.get_buffer("mean")) / self.get_buffer("spread")


class DhvtT(Dhvt):
    """6.0 M parameters, 6.2 M with a classifier of 1,000 classes."""

    width, heads = 192, 4


class DhvtS(Dhvt):
    """23.6 M parameters, 24.0 M with a classifier of 1,000 classes."""

    width, heads = 384, 8


class DhvtTiny(Dhvt):
    """The preset for small data: 4x4 patches, 0.2 M parameters."""

    width, depth, heads, patch = 64, 4, 4, 4
