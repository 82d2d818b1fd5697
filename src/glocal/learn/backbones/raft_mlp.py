"""RaftMLP: tokens of a row or a column are mixed together with some of their channels."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.pyramid import CellLinear, ChannelNorm, Pyramid, Reduce, Scaled

_RAFT, _TOKENS, _CHANNELS = 2, 2, 4  # channels of a raft, and factors of the two perceptrons


class RaftMixing(nn.Module):
    """Vertical token mixing with channel rafts, ``W2 GELU(W1 x)``; transposed, horizontal mixing.

    Channels are divided into ``C / r`` rafts of ``r``; a vector has the channels of one raft in all
    cells of one column, ``r h`` numbers, and all columns and rafts share the weights. For a side
    ``h'`` other than ``h``, the weights are interpolated along it (bicubic), and ``W1`` is scaled
    by ``h / h'``, so that sums keep their size.

    Args:
        side: cells of a column, ``h``, for which the weights are.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.enter = nn.Linear(_RAFT * side, _TOKENS * _RAFT * side)
        self.leave = nn.Linear(_TOKENS * _RAFT * side, _RAFT * side)

    def _along(self, weight: Tensor, side: int) -> Tensor:
        """Weights ``(n, r h)`` for columns of so many cells."""
        stretched = functional.interpolate(
            weight.reshape(-1, 1, 1, self.side), (1, side), mode="bicubic"
        )
        return stretched.reshape(-1, _RAFT, side)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the columns of ``(b, width, h, w)``."""
        height = x.shape[2]
        rafts = x.unflatten(1, (_RAFT, -1))  # (b, r, width / r, h, w)
        first = self._along(self.enter.weight, height) * (self.side / height)
        last = self._along(self.leave.weight.mT, height)
        shift = self._along(self.leave.bias[None], height)[0]
        tokens = rafts.permute(0, 2, 4, 1, 3).flatten(3)  # (b, width / r, w, r h)
        inner = functional.gelu(functional.linear(tokens, first.flatten(1), self.enter.bias))
        mixed = inner @ last.flatten(1) + shift.flatten()
        return mixed.unflatten(3, (_RAFT, height)).permute(0, 3, 1, 4, 2).flatten(1, 2)


class Transposed(nn.Module):
    """The same layers along rows instead of columns.

    Args:
        layers: layers that treat columns.
    """

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        """Mix the rows of ``(b, width, h, w)``."""
        mixed: Tensor = self.layers(x.mT).mT
        return mixed


class MultiScaleEmbedding(nn.Module):
    """A linear layer of two patches around a cell, one of them twice as wide.

    Args:
        width: channels.
        out: channels of the output.
        side: side of the smaller patch, which is the stride.
        wide: whether there is a second patch.
    """

    def __init__(self, width: int, out: int, side: int, *, wide: bool) -> None:
        super().__init__()
        self.near = Reduce(width, out, side, side)
        self.wide = nn.Conv2d(width, out, 2 * side, side, side // 2, bias=False) if wide else None

    def forward(self, x: Tensor) -> Tensor:
        """From ``(b, width, h, w)`` to ``(b, out, h / side, w / side)``."""
        found: Tensor = self.near(x)
        return found if self.wide is None else found + self.wide(x)


class RaftMlp(Pyramid):
    """RaftMLP (Tatsunami and Taki, 2022).

    A block adds, one after the other, vertical mixing, horizontal mixing and a perceptron of the
    channels, each of the normalised map.

    Deviations: at other resolutions than `native`, weights are interpolated; the authors' code
    interpolates the maps to the native size and back, which blurs them. No stochastic depth.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.

    Attributes:
        native: side of the images whose weights are not interpolated.
    """

    layers: ClassVar[tuple[int, ...]] = (2, 2, 6, 2)
    widths: ClassVar[tuple[int, ...]]
    native: ClassVar[int] = 224

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        stages, before = [], 3
        for number, (count, width) in enumerate(zip(self.layers, self.widths, strict=True)):
            side = self.native // 2 ** (number + 2)
            embed = MultiScaleEmbedding(before, width, 2 if number else 4, wide=number < 3)
            made: list[nn.Module] = [embed]
            for _ in range(count):
                perceptron = nn.Sequential(
                    *(CellLinear(width, _CHANNELS * width), nn.GELU()),
                    CellLinear(_CHANNELS * width, width),
                )
                for layers in (RaftMixing(side), Transposed(RaftMixing(side)), perceptron):
                    normed = nn.Sequential(ChannelNorm(width, eps=1e-5), layers)
                    made.append(Scaled(normed, width, None))
            stages.append(nn.Sequential(*made))
            before = width
        stages[-1].append(ChannelNorm(before, eps=1e-5))
        self.assemble(stages, self.widths, weights)


class RaftMlpTiny(RaftMlp):
    """The preset for small data: 0.2 M parameters, native to images of 64 pixels."""

    layers, widths, native = (1, 1, 2, 1), (16, 32, 64, 96), 64


class RaftMlpS(RaftMlp):
    """9.9 M parameters with a classifier of 1,000 classes."""

    widths = (64, 128, 256, 512)


class RaftMlpM(RaftMlp):
    """21.4 M parameters, counted likewise."""

    widths = (96, 192, 384, 768)


class RaftMlpL(RaftMlp):
    """36.2 M parameters, counted likewise."""

    widths = (128, 192, 512, 1024)
