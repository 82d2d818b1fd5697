"""GLMix: convolutions on the grid and attention between a few slots, side by side."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.attention import SelfAttention, like, tokens
from glocal.learn.backbones.pyramid import Pyramid, Reduce, each_channel
from glocal.learn.graft import Residual

_SLOTS = 8
_HEAD = 32


class Slots(nn.Module):
    """The branch of slots: cluster softly, attend, dispatch softly.

    Slots begin as averages ``S0`` on an 8x8 grid. With ``L = tau cos(S0, X)``, clustering is
    ``S = softmax over cells(L) X``, then ``S = MHSA(S)``, and dispatching gives each cell
    ``softmax over slots(L^T) S``.

    Args:
        width: channels.
        heads: heads of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.tensor(width**-0.5))
        self.attention = SelfAttention(width, heads)

    def similarity(self, first: Tensor, x: Tensor) -> Tensor:
        """``L``: ``(b, 64, h w)``, from what slots begin with and a feature map."""
        slots = functional.normalize(tokens(_averages(first)), dim=-1)
        cells = functional.normalize(tokens(x), dim=-1)
        return self.temperature * slots @ cells.transpose(1, 2)

    def forward(self, first: Tensor, x: Tensor) -> Tensor:
        """What cells of ``(b, width, h, w)`` get from the slots that begin with `first`."""
        similarity = self.similarity(first, x)
        slots = self.attention(similarity.softmax(dim=-1) @ tokens(x))
        return like(similarity.transpose(1, 2).softmax(dim=-1) @ slots, x)


class GlMixBlock(nn.Module):
    """``x = x + Slots(BN(x)) + Convolutions(BN(x))``, and a feed-forward network.

    Args:
        width: channels.
        heads: heads of the attention between slots.
        ratio: how much wider the feed-forward network is inside.
        local: whether convolutions encode places, and stand in the feed-forward network.
    """

    def __init__(self, width: int, heads: int, ratio: int, *, local: bool) -> None:
        super().__init__()
        self.position = Residual(each_channel(width, 3)) if local else nn.Identity()
        self.norm = nn.BatchNorm2d(width)
        self.slots = Slots(width, heads)
        self.grid = nn.Sequential(
            nn.Conv2d(width, width, 1), each_channel(width, 5), nn.Conv2d(width, width, 1)
        )
        self.feed = _feed(width, ratio, local=local)

    def forward(self, x: Tensor) -> Tensor:
        """From ``(b, width, h, w)`` to the same shape."""
        placed = self.position(x)
        normed = self.norm(placed)
        found: Tensor = self.feed(placed + self.slots(x, normed) + self.grid(normed))
        return found

    def groups(self, x: Tensor) -> Tensor:
        """To look at: the share of each slot in each cell, ``(b, 64, h, w)``, of sum 1."""
        shares = self.slots.similarity(x, self.norm(self.position(x))).softmax(dim=1)
        return shares.unflatten(2, x.shape[2:])


class _AllCells(nn.Module):
    """Attention between all cells, and a feed-forward network."""

    def __init__(self, width: int, heads: int, ratio: int, *, local: bool) -> None:
        super().__init__()
        self.position = Residual(each_channel(width, 3)) if local else nn.Identity()
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = SelfAttention(width, heads)
        self.feed = _feed(width, ratio, local=local)

    def forward(self, x: Tensor) -> Tensor:
        x = self.position(x)
        found: Tensor = self.feed(x + like(self.attention(self.norm(tokens(x))), x))
        return found


class GlNet(Pyramid):
    """GLNet, the backbone of GLMix blocks (Zhu, Wang and Lau, 2024).

    Deviations: none known in the sizes 4G and 9G, whose widths and depths are those of the
    authors' code; STL has the layout of Swin-T as there.
    """

    widths: ClassVar[tuple[int, ...]]
    depths: ClassVar[tuple[int, ...]] = (4, 4, 18, 4)
    ratio: ClassVar[int] = 3
    head: ClassVar[int] = _HEAD
    modern: ClassVar[bool] = True

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        first = self.widths[0]
        down: list[nn.Module] = [Reduce(3, first, 4, 4), nn.BatchNorm2d(first)]
        if self.modern:
            down = [
                Reduce(3, first // 2, 3, 2, 1),
                nn.BatchNorm2d(first // 2),
                nn.GELU(),
                Reduce(first // 2, first, 3, 2, 1),
                nn.BatchNorm2d(first),
            ]
        stages: list[nn.Module] = []
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            if stage:
                before = self.widths[stage - 1]
                down = [nn.BatchNorm2d(before), Reduce(before, width, 2, 2)]
                if self.modern:
                    down = [Reduce(before, width, 3, 2, 1), nn.BatchNorm2d(width)]
            layers = [self._layer(stage, number, width) for number in range(depth)]
            stages.append(nn.Sequential(*down, *layers))
        stages[-1] = nn.Sequential(stages[-1], nn.BatchNorm2d(self.widths[-1]))
        self.assemble(stages, self.widths, weights)

    def _layer(self, stage: int, number: int, width: int) -> nn.Module:
        # In the third stage of the larger sizes, every other layer attends to all cells.
        every = stage == 3 or (self.modern and stage == 2 and number % 2 == 1)
        kind = _AllCells if every else GlMixBlock
        return kind(width, width // self.head, self.ratio, local=self.modern)


class GlNetTiny(GlNet):
    """The preset for small data: 0.2 M parameters."""

    widths, depths, head = (16, 24, 32, 48), (1, 1, 2, 1), 8


class GlNetStl(GlNet):
    """GLNet-STL, in the layout of Swin-T: 30 M parameters with a classifier of 1,000 classes."""

    widths, depths, ratio, modern = (96, 192, 384, 768), (2, 2, 6, 2), 4, False


class GlNet4G(GlNet):
    """GLNet-4G: 27 M parameters with a classifier of 1,000 classes."""

    widths = (64, 128, 256, 512)


class GlNet9G(GlNet):
    """GLNet-9G: 61 M parameters with a classifier of 1,000 classes."""

    widths = (96, 192, 384, 768)


def _feed(width: int, ratio: int, *, local: bool) -> nn.Module:
    inner = ratio * width
    layers = [
        nn.BatchNorm2d(width),
        nn.Conv2d(width, inner, 1),
        Residual(each_channel(inner, 3)) if local else nn.Identity(),
        nn.GELU(),
        nn.Conv2d(inner, width, 1),
    ]
    return Residual(nn.Sequential(*layers))


def _averages(x: Tensor) -> Tensor:
    """The averages of 8x8 parts of a map of any size, as a product that ONNX can express.

    Parts overlap where 8 does not divide the side, as torch's adaptive pooling has it.
    """
    rows, columns = (_parts(side, x) for side in x.shape[2:])
    return rows @ x @ columns.transpose(0, 1)


def _parts(side: int, x: Tensor) -> Tensor:
    cells = torch.arange(side, device=x.device)
    part = torch.arange(_SLOTS, device=x.device)[:, None]
    begin = torch.div(part * side, _SLOTS, rounding_mode="floor")
    end = torch.div((part + 1) * side + _SLOTS - 1, _SLOTS, rounding_mode="floor")
    chosen = ((cells >= begin) & (cells < end)).to(x.dtype)
    return chosen / chosen.sum(dim=1, keepdim=True)
