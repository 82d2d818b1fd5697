"""Convolutions whose kernels are products of one-way filters, from before the training on."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from glocal.learn.contracts import Block, Role


class OneWay(Block):
    """A priori compressed convolution (Boukraichi, Akkari, Casenave and Ryckelynck, 2023).

    The three-way kernel of each output channel ``o``, over inputs, rows and columns, is the product
    of three one-way filters, ``K_o = a_o ⊗ b_o ⊗ c_o``, which are learned instead of it. So a
    ``k x k`` convolution from ``m`` to ``n`` channels has ``(m + 2 k) n`` weights where it would
    have ``m k² n``, and is computed as three convolutions in turn: over the inputs, down the
    columns of cells, and along their rows.

    Deviations: known from the abstract and the authors' summary; each kernel is one product, so of
    rank 1, and there is no bias, as a normalisation follows.

    Args:
        width: channels ``m`` of the input.
        out: channels ``n`` of the output.
        stride: 1 or 2.
        kernel: ``k``, an odd number.
    """

    role: ClassVar[Role] = "conv"
    widens: ClassVar[bool] = True
    strides: ClassVar[tuple[int, ...]] = (1, 2)

    def __init__(
        self, width: int, *, out: int | None = None, stride: int = 1, kernel: int = 3
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        n, half = self.out, kernel // 2
        self.inputs = nn.Conv2d(width, n, 1, bias=False)
        self.rows = nn.Conv2d(n, n, (kernel, 1), (stride, 1), (half, 0), groups=n, bias=False)
        self.columns = nn.Conv2d(n, n, (1, kernel), (1, stride), (0, half), groups=n, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The three convolutions in turn."""
        found: Tensor = self.columns(self.rows(self.inputs(x)))
        return found
