"""GhostNet's module: cheap operations make part of the channels."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.contracts import Block, Role


class Ghost(Block):
    """The Ghost module (Han, Wang, Tian, Guo, Xu and Xu, 2020), in the place of a convolution.

    An ordinary convolution makes ``m = n / s`` intrinsic channels, and ``d x d`` convolutions of
    single channels make ``s - 1`` ghosts of each; both are joined to ``n`` channels. Compared with
    an ordinary convolution to ``n`` channels, operations and parameters fall nearly by the factor
    ``s``.

    Deviations: none known; as in the authors' code, both steps end in batch normalisation and, if
    `active`, a rectifier, and surplus ghosts are cut off where ``s`` does not divide ``n``.

    Args:
        width: channels of the input.
        out: channels ``n`` of the output.
        stride: 1 or 2.
        kernel: side of the ordinary convolution's kernel.
        ratio: ``s``, at least 2.
        cheap: side ``d`` of the cheap kernels, an odd number.
        active: whether the steps end in rectifiers.

    Raises:
        LearnError: the ratio is less than 2.
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
        kernel: int = 3,
        ratio: int = 2,
        cheap: int = 3,
        active: bool = False,
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        if ratio < 2:
            raise LearnError(f"a Ghost module needs a ratio of 2 or more, not {ratio}")
        intrinsic = math.ceil(self.out / ratio)
        ghosts = intrinsic * (ratio - 1)

        def ended(convolution: nn.Conv2d) -> nn.Sequential:
            last = [nn.ReLU()] if active else []
            return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), *last)

        self.primary = ended(nn.Conv2d(width, intrinsic, kernel, stride, kernel // 2, bias=False))
        self.cheap = ended(
            nn.Conv2d(intrinsic, ghosts, cheap, 1, cheap // 2, groups=intrinsic, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Make the intrinsic channels and their ghosts."""
        intrinsic = self.primary(x)
        return torch.cat([intrinsic, self.cheap(intrinsic)], dim=1)[:, : self.out]
