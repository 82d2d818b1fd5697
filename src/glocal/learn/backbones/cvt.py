"""CvT: a transformer whose tokens and projections are made by convolutions."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.pyramid import CellLinear, ChannelNorm, Pyramid, Reduce, Scaled


class ConvolutionalAttention(nn.Module):
    """Attention with convolutional projections: ``q, k, v = Linear(BN(DepthwiseConv3x3(x)))``.

    Keys and values are taken at every other row and column, ``softmax(q k^T / sqrt(C)) v``. There
    are no positions: what tells where a token is are the convolutions.

    Args:
        width: channels ``C``.
        heads: number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, width**-0.5
        self.query, self.key, self.value = (_projection(width, stride) for stride in (1, 2, 2))
        self.join = CellLinear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Attend to all tokens of ``(b, width, h, w)``."""
        query, key, value = (
            layers(x).unflatten(1, (self.heads, -1)).flatten(3).mT
            for layers in (self.query, self.key, self.value)
        )
        found = functional.scaled_dot_product_attention(query, key, value, scale=self.scale)
        joined: Tensor = self.join(found.mT.flatten(1, 2).unflatten(2, x.shape[2:]))
        return joined


class Cvt(Pyramid):
    """The convolutional vision transformer (Wu, Xiao, Codella, Liu, Dai, Yuan and Zhang, 2021).

    Three stages at strides 4, 8 and 16, each begun by a convolutional token embedding; a block is
    ``x + Attention(norm(x))``, then ``x + MLP(norm(x))``.

    Deviations: the last stage has no class token, since feature maps are wanted. As in the authors'
    code, similarities are divided by the root of all channels, not of a head's. No stochastic
    depth.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    layers: ClassVar[tuple[int, ...]]
    widths: ClassVar[tuple[int, ...]] = (64, 192, 384)
    heads: ClassVar[tuple[int, ...]] = (1, 3, 6)

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        stages: list[nn.Sequential] = []
        before = 3
        for count, width, heads in zip(self.layers, self.widths, self.heads, strict=True):
            embed = Reduce(before, width, 3, 2, 1) if stages else Reduce(before, width, 7, 4, 2)
            made: list[nn.Module] = [embed, ChannelNorm(width, eps=1e-5)]
            for _ in range(count):
                perceptron = (
                    *(CellLinear(width, 4 * width), nn.GELU()),
                    CellLinear(4 * width, width),
                )
                for layers in ((ConvolutionalAttention(width, heads),), perceptron):
                    normed = nn.Sequential(ChannelNorm(width, eps=1e-5), *layers)
                    made.append(Scaled(normed, width, None))
            stages.append(nn.Sequential(*made))
            before = width
        stages[-1].append(ChannelNorm(before, eps=1e-5))
        self.assemble(stages, self.widths, weights)


class CvtTiny(Cvt):
    """The preset for small data: 0.2 M parameters."""

    layers, widths, heads = (1, 1, 2), (16, 32, 64), (1, 2, 4)


class Cvt13(Cvt):
    """20 M parameters with a classifier of 1,000 classes."""

    layers = (1, 2, 10)


class Cvt21(Cvt):
    """32 M parameters, counted likewise."""

    layers = (1, 4, 16)


def _projection(width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False),
        nn.BatchNorm2d(width),
        CellLinear(width, width),
    )
