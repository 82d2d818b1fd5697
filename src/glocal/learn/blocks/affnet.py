"""AFFNet's token mixer: filters in the frequency domain that depend on the features."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.contracts import Block, Role


class AdaptiveFrequencyFilter(Block):
    """Adaptive frequency filtering (Huang, Zhang, Lan, Zha, Lu and Guo, 2023).

    ``F^-1[ M(F(X)) * F(X) ]``: the spectrum of the features is multiplied, place by place, with a
    mask that a small network ``M`` of grouped 1x1 convolutions computes from the spectrum itself.
    That equals a circular convolution of each channel with a kernel as large as the feature map,
    ``F^-1[M(F(X))]``, which depends on the features.

    Deviations: ``M`` sees real and imaginary parts as channels, over the whole spectrum and not its
    half, and the real part of the result is kept; so the equality is exact for any mask. The
    Fourier transforms are unitary for ``M`` and plain for the product. Graphs for ONNX multiply by
    the matrices of the transforms instead, which computes the same.

    Args:
        width: channels.
        out: as `width`.
        stride: 1.
        groups: groups of the convolutions of ``M``.

    Raises:
        LearnError: the groups do not divide the channels.
    """

    role: ClassVar[Role] = "mixer"
    fixed_size: ClassVar[bool] = True

    def __init__(
        self, width: int, *, out: int | None = None, stride: int = 1, groups: int = 8
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        if width % groups:
            raise LearnError(f"{groups} groups do not divide {width} channels; use another number")
        self.net = nn.Sequential(
            nn.Conv2d(2 * width, 2 * width, 1, groups=groups),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 1, groups=groups),
        )

    def mask(self, real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
        """Real and imaginary part of the mask ``M`` of a unitary spectrum, ``(b, width, h, w)``."""
        found = self.net(torch.cat([real, imaginary], dim=1))
        return found[:, : self.width], found[:, self.width :]

    def forward(self, x: Tensor) -> Tensor:
        """Filter the spectrum."""
        if torch.compiler.is_compiling():
            return self._by_matrices(x)
        spectrum = torch.fft.fft2(x, norm="ortho")
        mask = torch.complex(*self.mask(spectrum.real, spectrum.imag))
        filtered: Tensor = torch.fft.ifft2(spectrum * mask, norm="ortho").real
        return filtered

    def _by_matrices(self, x: Tensor) -> Tensor:
        """The same without complex numbers; ``(cos, sin)`` of each side's transform."""
        rows, columns = (_waves(side, x) for side in x.shape[2:])
        # x is real: X = (C - iS) x (C - iS).
        real = rows[0] @ x @ columns[0] - rows[1] @ x @ columns[1]
        imaginary = -(rows[0] @ x @ columns[1] + rows[1] @ x @ columns[0])
        one, two = self.mask(real, imaginary)
        a, b = real * one - imaginary * two, real * two + imaginary * one
        # Real part of (C + iS) (a + ib) (C + iS).
        return (
            rows[0] @ a @ columns[0]
            - rows[1] @ a @ columns[1]
            - rows[0] @ b @ columns[1]
            - rows[1] @ b @ columns[0]
        )


def _waves(side: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine matrices ``(side, side)`` of the unitary Fourier transform."""
    places = torch.arange(side, device=like.device, dtype=like.dtype)
    angles = 2 * torch.pi * torch.outer(places, places) / side
    return angles.cos() / side**0.5, angles.sin() / side**0.5
