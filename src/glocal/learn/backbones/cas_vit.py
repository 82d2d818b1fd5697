"""CAS-ViT: similarity of queries and keys as a sum, with convolutions alone."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from glocal.learn.backbones.pyramid import Pyramid, Reduce, each_channel

_EXPANSION = 4


class Context(nn.Module):
    """The mapping ``Phi(x) = C(S(x))`` of a query or a key to what surrounds it.

    ``S`` weighs each cell, by a convolution over its neighbours and a sigmoid; ``C`` weighs each
    channel, by the mean over the whole map and a sigmoid. Both cost as much for each cell however
    many there are.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cells = nn.Sequential(
            each_channel(width, 3),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 1, 1, bias=False),
            nn.Sigmoid(),
        )
        self.channels = nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Weigh ``(b, width, h, w)``."""
        x = x * self.cells(x)
        weighed: Tensor = x * self.channels(x.mean(dim=(2, 3), keepdim=True))
        return weighed


class AdditiveMixer(nn.Module):
    """The convolutional additive token mixer, ``O = Gamma(Phi(Q) + Phi(K)) V`` cell by cell.

    ``Gamma`` is a 3x3 convolution of each channel; so is the projection of ``O``. No matrix of
    similarities of all pairs exists.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(width, 3 * width, 1, bias=False)
        self.query, self.key = Context(width), Context(width)
        self.similarity, self.join = each_channel(width, 3), each_channel(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the cells of ``(b, width, h, w)``."""
        query, key, value = self.project(x).chunk(3, dim=1)
        mixed: Tensor = self.join(self.similarity(self.query(query) + self.key(key)) * value)
        return mixed


class AdditiveBlock(nn.Module):
    """Three residual branches: local integration, the token mixer, and a perceptron.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv2d(width, width, 1),
            nn.BatchNorm2d(width),
            each_channel(width, 3),
            nn.GELU(),
            nn.Conv2d(width, width, 1),
        )
        self.mixer = nn.Sequential(nn.BatchNorm2d(width), AdditiveMixer(width))
        self.perceptron = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Conv2d(width, _EXPANSION * width, 1),
            nn.GELU(),
            nn.Conv2d(_EXPANSION * width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the branches to ``(b, width, h, w)``."""
        for branch in (self.local, self.mixer, self.perceptron):
            x = x + branch(x)
        return x


class CasVit(Pyramid):
    """CAS-ViT (Zhang, Li, Zhou, Liu, Qian and Ji, 2024).

    Each block computes ``x + LI(x)``, then ``x + CATM(norm(x))``, then ``x + MLP(norm(x))``, where
    ``CATM`` is the `AdditiveMixer`. Stages begin with a 3x3 convolution of stride 2.

    Deviations: where paper and public code differ, the code was followed: the projection of the
    mixer is a 3x3 convolution of each channel. There is no stochastic depth.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    layers: ClassVar[tuple[int, ...]]
    widths: ClassVar[tuple[int, ...]]

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        stages, before = [], self.widths[0]
        for number, (count, width) in enumerate(zip(self.layers, self.widths, strict=True)):
            first = _stem(width) if number == 0 else _smaller(before, width)
            stages.append(nn.Sequential(*first, *(AdditiveBlock(width) for _ in range(count))))
            before = width
        stages[-1].append(nn.BatchNorm2d(before))
        self.assemble(stages, self.widths, weights)


class CasVitTiny(CasVit):
    """The preset for small data: 0.2 M parameters."""

    layers, widths = (1, 1, 2, 1), (16, 24, 48, 64)


class CasVitXs(CasVit):
    """2.8 M parameters, 3.2 M with the authors' two classifiers of 1,000 classes."""

    layers, widths = (2, 2, 4, 2), (48, 56, 112, 220)


class CasVitS(CasVit):
    """5.3 M parameters, 5.8 M likewise."""

    layers, widths = (3, 3, 6, 3), (48, 64, 128, 256)


class CasVitM(CasVit):
    """11.7 M parameters, 12.4 M likewise."""

    layers, widths = (3, 3, 6, 3), (64, 96, 192, 384)


class CasVitT(CasVit):
    """20.7 M parameters, 21.8 M likewise."""

    layers, widths = (3, 3, 6, 3), (96, 128, 256, 512)


def _stem(width: int) -> list[nn.Module]:
    half = width // 2
    return [*_smaller(3, half), nn.ReLU(), *_smaller(half, width), nn.ReLU()]


def _smaller(width: int, out: int) -> list[nn.Module]:
    return [Reduce(width, out, 3, 2, 1), nn.BatchNorm2d(out)]
