"""DCLS: the positions of a kernel's elements are learned."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Block, Role


class LearnableSpacings(Block):
    """Dilated convolution with learnable spacings (Khalfaoui-Hassani et al., 2023).

    A kernel of ``s x s`` places has ``m`` elements of weight ``w`` at real positions ``p``, which
    are learned. It is built by bilinear interpolation: each element is spread over the four places
    around it, ``K = sum w (1 - |p_x - x|)_+ (1 - |p_y - y|)_+``, and so gradients reach the
    positions. Each channel is convolved by itself, as in the paper's ConvNeXt.

    Deviations: positions are clamped to the kernel, as in the paper; they start at random (normal,
        half a quarter of the side), and are not shared among layers. The defaults have as many
        parameters as a plain 7x7 kernel: 16 elements with two coordinates and a weight each are 48,
        of 49.

    Args:
        width: channels.
        out: as `width`.
        stride: 1.
        side: side ``s`` of the kernel, an odd number.
        elements: number of elements ``m``.

    Raises:
        LearnError: the side is even, or there are more elements than places.
    """

    role: ClassVar[Role] = "mixer"

    def __init__(
        self,
        width: int,
        *,
        out: int | None = None,
        stride: int = 1,
        side: int = 9,
        elements: int = 16,
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        if side % 2 == 0 or not 1 <= elements <= side**2:
            raise LearnError(f"a kernel of side {side} cannot have {elements} learned elements")
        self.side = side
        self.weight = nn.Parameter(torch.randn(width, elements) / elements**0.5)
        self.positions = nn.Parameter(torch.randn(width, elements, 2) * side / 8)

    def kernel(self) -> Tensor:
        """The kernels ``(width, side, side)``."""
        half = self.side // 2
        places = torch.arange(-half, half + 1, device=self.weight.device, dtype=self.weight.dtype)
        held = self.positions.clamp(-half, half)
        rows, columns = (
            (1 - (held[..., axis, None] - places).abs()).clamp(min=0) for axis in (0, 1)
        )
        return torch.einsum("cm,cmy,cmx->cyx", self.weight, rows, columns)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve each channel with its kernel."""
        kernel = self.kernel()[:, None]
        return functional.conv2d(x, kernel, padding=self.side // 2, groups=self.width)

    def merged(self) -> nn.Module:
        """An ordinary convolution of single channels with the built kernel."""
        made = nn.Conv2d(
            self.width, self.width, self.side, padding=self.side // 2, groups=self.width, bias=False
        )
        made.weight = nn.Parameter(self.kernel().detach()[:, None])
        return made.train(self.training)
