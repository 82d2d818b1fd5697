"""SGConv: a global convolution whose kernel is made of few parameters and decays."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Block, Role


class SgConv(Block):
    """Structured global convolution (Li, Cai, Zhang, Chen and Dey, 2022).

    The kernel of a sequence of length ``L`` joins sub-kernels of growing length:
    ``k = [k_0, k_1, ..., k_N] / Z`` with ``k_i = alpha^i upsample(w_i)``, where each ``w_i`` has
    ``d`` parameters and is enlarged to ``2^max(i-1, 0) d`` places. So the number of parameters
    grows with the logarithm of ``L``, and weights fall with the distance. ``Z`` is the norm of the
    kernel at the start. The convolution is done by Fourier transforms in ``O(L log L)``.

    Deviations: the cells of the feature map are one sequence, row by row, and each direction has a
    kernel of its own, so that a cell gets from all others. Graphs for ONNX have the direct
    convolution, which computes the same.

    Args:
        width: channels; each has its own kernel.
        out: as `width`.
        stride: 1.
        scale: parameters ``d`` of each sub-kernel.
        decay: factor ``alpha`` from one sub-kernel to the next.
        longest: largest number of cells of a feature map.
    """

    role: ClassVar[Role] = "mixer"
    fixed_size: ClassVar[bool] = True

    def __init__(
        self,
        width: int,
        *,
        out: int | None = None,
        stride: int = 1,
        scale: int = 4,
        decay: float = 0.5,
        longest: int = 4096,
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        self.scale, self.decay = scale, decay
        count = 1 + max(0, math.ceil(math.log2(max(longest / scale, 1))))
        self.weights = nn.Parameter(torch.randn(2, count, width, scale))
        self.skip = nn.Parameter(torch.ones(width))
        self.register_buffer("norm", torch.ones(2, width, 1))
        with torch.no_grad():
            whole = self.kernels(longest)
            self.get_buffer("norm").copy_(whole.norm(dim=-1, keepdim=True))

    def kernels(self, length: int) -> Tensor:
        """The kernels ``(2, width, length)``: of the cells before and of those after."""
        parts, reached = [], 0
        for number in range(self.weights.shape[1]):
            size = self.scale * 2 ** max(number - 1, 0)
            weights = self.weights[:, number]
            grown = functional.interpolate(weights, size=size, mode="linear", align_corners=False)
            parts.append(grown * self.decay**number)
            reached += size
            if reached >= length:
                break
        kernel = torch.cat(parts, dim=-1)[..., :length]
        return functional.pad(kernel, (0, length - kernel.shape[-1])) / self.get_buffer("norm")

    def forward(self, x: Tensor) -> Tensor:
        """Convolve the sequence of cells in both directions, and add the weighted input."""
        sequence = x.flatten(2)
        length = sequence.shape[-1]
        before, after = self.kernels(length)
        if torch.compiler.is_compiling():
            # One kernel over all offsets from 1 - length to length - 1.
            itself = before[:, :1] + after[:, :1]
            both = torch.cat([before.flip(-1)[:, :-1], itself, after[:, 1:]], dim=-1)
            mixed = functional.conv1d(
                sequence, both[:, None], padding=length - 1, groups=self.width
            )
        else:
            whole = 2 * length
            turned = torch.fft.rfft(sequence, n=whole)
            kernel = torch.fft.rfft(before, n=whole) + torch.fft.rfft(after, n=whole).conj()
            mixed = torch.fft.irfft(turned * kernel, n=whole)[..., :length]
        return (mixed + self.skip[:, None] * sequence).reshape(x.shape)
