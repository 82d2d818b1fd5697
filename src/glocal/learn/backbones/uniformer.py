"""UniFormer: cells relate to neighbours in early stages, and to all cells in late ones."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.pyramid import (
    ChannelNorm,
    Pyramid,
    Reduce,
    each_channel,
)

_EXPANSION = 4


class LocalRelation(nn.Sequential):
    """The relation aggregator with local affinity: ``U A V(x)``.

    ``V`` and ``U`` are linear layers of the channels; the affinity ``A`` of two cells of a channel
    is a learned number that depends on their distance alone, and zero outside of 5x5 cells.

    Args:
        width: channels, each of which is a head.
    """

    def __init__(self, width: int) -> None:
        super().__init__(nn.Conv2d(width, width, 1), each_channel(width, 5),
                         nn.Conv2d(width, width, 1))  # fmt: skip


class GlobalRelation(nn.Module):
    """The relation aggregator with global affinity: ``U softmax(Q(x)^T K(x) / sqrt(d)) V(x)``.

    Args:
        width: channels.
        head: channels ``d`` of a head.
    """

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.head = head
        self.project, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Relate every cell of ``(b, width, h, w)`` to every one."""
        tokens = x.flatten(2).transpose(1, 2)
        split = self.project(tokens).unflatten(2, (3, -1, self.head)).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(split[0], split[1], split[2])
        joined: Tensor = self.join(found.transpose(1, 2).flatten(2))
        return joined.transpose(1, 2).unflatten(2, x.shape[2:])


class UniFormerBlock(nn.Module):
    """Dynamic position encoding, relation aggregator, and perceptron, each added.

    ``x = DPE(x) + x``, ``y = MHRA(norm(x)) + x``, ``z = FFN(norm(y)) + y``.

    Args:
        width: channels.
        head: channels of a head of a global relation; 0 for a local relation.
    """

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        kind = ChannelNorm if head else nn.BatchNorm2d
        relation = GlobalRelation(width, head) if head else LocalRelation(width)
        self.position = each_channel(width, 3)
        self.relation = nn.Sequential(kind(width), relation)
        self.perceptron = nn.Sequential(
            kind(width),
            nn.Conv2d(width, _EXPANSION * width, 1),
            nn.GELU(),
            nn.Conv2d(_EXPANSION * width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the three to ``(b, width, h, w)``."""
        for branch in (self.position, self.relation, self.perceptron):
            x = x + branch(x)
        return x


class UniFormer(Pyramid):
    """UniFormer for images (Li, Wang, Zhang, Gao, Song, Liu, Li and Qiao, 2022).

    Two stages of `UniFormerBlock` with local relations and two with global ones; each begins with a
    convolution whose stride is its side.

    Deviations: no stochastic depth.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    layers: ClassVar[tuple[int, ...]]
    widths: ClassVar[tuple[int, ...]] = (64, 128, 320, 512)
    head: ClassVar[int] = 64

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        stages, before = [], 3
        for number, (count, width) in enumerate(zip(self.layers, self.widths, strict=True)):
            side, head = 2 if number else 4, self.head if number >= 2 else 0
            blocks = (UniFormerBlock(width, head) for _ in range(count))
            stages.append(
                nn.Sequential(Reduce(before, width, side, side), ChannelNorm(width), *blocks)
            )
            before = width
        stages[-1].append(nn.BatchNorm2d(before))
        self.assemble(stages, self.widths, weights)


class UniFormerTiny(UniFormer):
    """The preset for small data: 0.3 M parameters."""

    layers, widths, head = (1, 1, 2, 1), (16, 32, 64, 96), 16


class UniFormerS(UniFormer):
    """22 M parameters with a classifier of 1,000 classes."""

    layers = (3, 4, 8, 3)


class UniFormerB(UniFormer):
    """50 M parameters, counted likewise."""

    layers = (5, 8, 20, 7)
