"""E2GC: group convolution with groups of constant size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.contracts import Block, Role


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a group convolution costs by the sizing model, for one image.

    Attributes:
        operations: multiply-accumulates.
        weights: numbers read as weights.
        activations: numbers read and written as features.
    """

    operations: int
    weights: int
    activations: int

    @property
    def reuse(self) -> float:
        """Operations for each number that is moved: the arithmetic intensity."""
        return self.operations / (self.weights + self.activations)


def sizing(
    *, width: int, out: int, size: int, kernel: int, cells_in: int, cells_out: int
) -> Sizing:
    """The sizing model of a convolution with groups of ``size`` channels.

    With ``M`` input and ``N`` output channels, a kernel of ``k^2`` places and groups of ``G``
    inputs, every output sees ``G`` inputs: ``N G k^2`` weights, and as many operations for each
    cell.

    Args:
        width: channels ``M`` of the input.
        out: channels ``N`` of the output.
        size: channels ``G`` of a group of the input.
        kernel: side ``k`` of the kernel.
        cells_in: cells of the input feature map.
        cells_out: cells of the output feature map.
    """
    weights = out * size * kernel**2
    return Sizing(weights * cells_out, weights, width * cells_in + out * cells_out)


class EnergyEfficientGroups(Block):
    """Group convolution of constant group size (Jha, Saini, Nag and Mittal, 2020).

    Where the number of groups ``g`` is the same in all layers, wide layers have large groups:
    compute and the reuse of data go out of balance. Here the size ``G`` of a group is the same in
    all layers, and the number of groups grows with the width. `sizing` is the model of both costs.

    Deviations: the paper derives the best ``G`` for a GPU's ratio of the two costs; here ``G`` is
        an option. A last 1x1 convolution, which the networks of the paper have after it, is not
        part of it.

    Args:
        width: channels of the input.
        out: channels of the output.
        stride: 1 or 2.
        size: channels ``G`` of a group; the whole width, where that is less.
        kernel: side of the kernel, an odd number.

    Raises:
        LearnError: groups of this size do not divide the channels.
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
        size: int = 8,
        kernel: int = 3,
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        self.size = min(size, width)
        groups, rest = divmod(width, self.size)
        if rest or self.out % groups:
            raise LearnError(
                f"groups of {size} channels do not divide {width} inputs and {self.out} outputs"
            )
        self.convolution = nn.Conv2d(
            width, self.out, kernel, stride, kernel // 2, groups=groups, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve each group by itself."""
        found: Tensor = self.convolution(x)
        return found
