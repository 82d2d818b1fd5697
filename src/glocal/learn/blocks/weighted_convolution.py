"""Optimal weighted convolution: a fixed spatial density multiplies every kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Block, Role


class WeightedConvolution(Block):
    """A convolution whose kernel ``W`` is ``W * Phi`` (Cammarasana and Patanè, 2025).

    The density ``Phi`` weights neighbours by their position relative to the centre. It is the
    outer product of one symmetric vector ``phi`` with itself, whose centre is 1, is computed once
    and is not learned: the number of parameters is that of an ordinary convolution, which is the
    special case of a density of one.

    Deviations: the paper searches the values of ``phi`` for each task; here they are an option,
    with 0.8 beside the centre, and for larger kernels the outermost value comes last.

    Args:
        width: channels of the input.
        out: channels of the output.
        stride: 1 or 2.
        density: values of ``phi`` from beside the centre outwards; the kernel has
            ``2 * len(density) + 1`` rows.

    Raises:
        LearnError: a density is not positive.
    """

    role: ClassVar[Role] = "conv"
    widens: ClassVar[bool] = True
    strides: ClassVar[tuple[int, ...]] = (1, 2)

    def __init__(
        self,
        width: int,
        *,
        out: int | None = None,
        stride: int = 1,
        density: Sequence[float] = (0.8,),
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        if not density or min(density) <= 0:
            raise LearnError(f"densities have to be greater than 0, not {list(density)}")
        line = torch.tensor([*reversed(density), 1.0, *density])
        self.register_buffer("density", torch.outer(line, line))
        side = len(line)
        self.convolution = nn.Conv2d(width, self.out, side, stride, side // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with the weighted kernel."""
        kernel = self.convolution.weight * self.get_buffer("density")
        return functional.conv2d(x, kernel, None, self.stride, self.convolution.padding)

    def merged(self) -> nn.Module:
        """An ordinary convolution with the weighted kernel."""
        side = self.convolution.weight.shape[-1]
        made = nn.Conv2d(self.width, self.out, side, self.stride, side // 2, bias=False)
        made.weight = nn.Parameter(self.convolution.weight.detach() * self.get_buffer("density"))
        return made.train(self.training)
