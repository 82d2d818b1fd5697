"""SViT: attention between super tokens, which cells are gathered into and spread from."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.attention import SelfAttention, like, tokens
from glocal.learn.backbones.pyramid import ChannelNorm, Pyramid, Reduce, Scaled, each_channel
from glocal.learn.graft import Residual

_AROUND = 3


class SuperTokenAttention(nn.Module):
    """Super token attention: sample, attend, un-sample.

    Super tokens ``S`` begin as the averages of squares of cells ``X``. Each cell is associated
    with those around it, ``Q = softmax(X S^T / sqrt(d))`` over the 3x3 super tokens nearest to the
    cell's square, and ``S = Q'^T X`` with ``Q'``, which is ``Q`` with columns of sum 1. The output
    is ``Q Attn(S)``.

    Args:
        width: channels.
        heads: heads of the attention.
        square: side in cells of what a super token begins with; 1 is plain attention.
    """

    def __init__(self, width: int, heads: int, square: int) -> None:
        super().__init__()
        self.square = square
        self.attention = SelfAttention(width, heads)

    def sample(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Super tokens, and the association.

        Returns:
            ``(b, c, h / square, w / square)``; and ``(b, h / square, w / square, square^2, 9)``:
            weights of the super tokens around its own, row by row, for each cell of each square.
        """
        cells = self._squares(x)
        first = cells.mean(dim=3).permute(0, 3, 1, 2)
        around = _around(first)
        inside = _around(torch.ones_like(first[:1, :1]))
        scores = cells @ around.permute(0, 2, 3, 1, 4) * x.shape[1] ** -0.5
        outside = inside.permute(0, 2, 3, 1, 4) == 0
        association = scores.masked_fill(outside, -torch.inf).softmax(dim=-1)
        sums = (cells.transpose(-1, -2) @ association).permute(0, 3, 1, 2, 4)
        weights = association.sum(dim=3)[:, None]
        return _gathered(sums) / (_gathered(weights) + 1e-12), association

    def unsample(self, found: Tensor, association: Tensor) -> Tensor:
        """Give each cell its mixture of the super tokens ``(b, c, h / square, w / square)``."""
        around = _around(found).permute(0, 2, 3, 4, 1)
        cells = (association @ around).permute(0, 4, 3, 1, 2).flatten(1, 2)
        width = found.shape[1]
        kernels = _single(self.square, found).repeat(width, 1, 1, 1)
        return functional.conv_transpose2d(cells, kernels, stride=self.square, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """From ``(b, width, h, w)``, sides multiples of `square`, to the same shape."""
        if self.square == 1:
            return like(self.attention(tokens(x)), x)
        sampled, association = self.sample(x)
        spread = self.unsample(like(self.attention(tokens(sampled)), sampled), association)
        # All rows and columns are picked, since the graph for ONNX fits any size only then.
        rows, columns = (torch.arange(side, device=x.device) for side in x.shape[2:])
        return spread[:, :, rows][:, :, :, columns]

    def _squares(self, x: Tensor) -> Tensor:
        """``(b, h / square, w / square, square^2, c)``."""
        width = x.shape[1]
        kernels = _single(self.square, x).repeat(width, 1, 1, 1)
        cut = functional.conv2d(x, kernels, stride=self.square, groups=width)
        return cut.unflatten(1, (width, -1)).permute(0, 3, 4, 2, 1)


class SViT(Pyramid):
    """Super token vision transformer (Huang, Zhou, Cao, He and Tan, 2023).

    Layers ``X = X + DWConv(X)``, ``Y = X + STA(LN(X))``, ``Z = Y + FFN(BN(Y))``, whose
    feed-forward network has a 3x3 convolution of each channel with a skip. Super tokens begin with
    8x8 cells in the first stage, 4x4 in the second; the last two attend to all cells.

    Deviations: a cell at the border is associated only with super tokens that exist, where the
    authors' code also counts zeros beyond the border; gradients reach the association, which that
    code cuts off; the layer before the classifier (1,024 channels) is not part of it. The largest
    size, SViT-L, is left out: with the widths found for it, it would have 3 % too many parameters.
    """

    widths: ClassVar[tuple[int, ...]]
    depths: ClassVar[tuple[int, ...]]
    heads: ClassVar[tuple[int, ...]]
    squares: ClassVar[tuple[int, ...]] = (8, 4, 1, 1)
    start: ClassVar[float | None] = None

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        first = self.widths[0]
        down: list[nn.Module] = []
        for kind, before, width, stride in (
            (Reduce, 3, first // 2, 2),
            (nn.Conv2d, first // 2, first // 2, 1),
            (Reduce, first // 2, first, 2),
            (nn.Conv2d, first, first, 1),
        ):
            conv = kind(before, width, 3, stride, 1, bias=False)
            down += [conv, nn.GELU(), nn.BatchNorm2d(width)]
        stages: list[nn.Module] = []
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            if stage:
                before = self.widths[stage - 1]
                down = [Reduce(before, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width)]
            layers = [self._layer(stage) for _ in range(depth)]
            stages.append(nn.Sequential(*down, *layers))
        self.assemble(stages, self.widths, weights)

    def _layer(self, stage: int) -> nn.Module:
        width = self.widths[stage]
        attention = SuperTokenAttention(width, self.heads[stage], self.squares[stage])
        parts = (
            nn.Sequential(ChannelNorm(width), attention),
            nn.Sequential(
                nn.BatchNorm2d(width),
                nn.Conv2d(width, 4 * width, 1),
                nn.GELU(),
                Residual(each_channel(4 * width, 3)),
                nn.Conv2d(4 * width, width, 1),
            ),
        )
        position = Residual(each_channel(width, 3))
        if self.start is None:
            return nn.Sequential(position, *(Residual(part) for part in parts))
        return nn.Sequential(position, *(Scaled(part, width, self.start) for part in parts))


class SViTTiny(SViT):
    """The preset for small data: 0.2 M parameters."""

    widths, depths, heads = (16, 24, 32, 48), (1, 1, 1, 1), (1, 2, 2, 3)


class SViTS(SViT):
    """SViT-S: 25 M parameters with its classifier of 1,000 classes."""

    widths, depths, heads = (64, 128, 320, 512), (3, 5, 9, 3), (1, 2, 5, 8)


class SViTB(SViT):
    """SViT-B: 52 M parameters with its classifier of 1,000 classes."""

    widths, depths, heads, start = (96, 192, 384, 512), (4, 6, 14, 6), (2, 3, 6, 8), 1e-5


def _around(x: Tensor) -> Tensor:
    """The nine cells around each, row by row, 0 outside: ``(b, c, h, w, 9)``."""
    width, count = x.shape[1], _AROUND**2
    kernels = _single(_AROUND, x).repeat(width, 1, 1, 1)
    found = functional.conv2d(x, kernels, padding=1, groups=width)
    return found.unflatten(1, (width, count)).movedim(2, -1)


def _gathered(given: Tensor) -> Tensor:
    """Sum up at each cell what those around give it, from ``(b, c, h, w, 9)``: ``(b, c, h, w)``."""
    width = given.shape[1]
    # What is given to the right neighbour comes from the left one.
    kernels = _single(_AROUND, given).flip(0).transpose(0, 1).repeat(width, 1, 1, 1)
    flat = given.movedim(-1, 2).flatten(1, 2)
    return functional.conv2d(flat, kernels, padding=1, groups=width)


def _single(side: int, like: Tensor) -> Tensor:
    """A kernel for each of its places, 1 there and 0 elsewhere: ``(side^2, 1, side, side)``.

    Convolutions with them cut maps, in one node of ONNX that fits any size.
    """
    places = torch.eye(side * side, dtype=like.dtype, device=like.device)
    return places.reshape(side * side, 1, side, side)
