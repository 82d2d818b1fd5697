"""TiC: self-attention within the windows of convolutions, for images of any size."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.pyramid import CellLinear, ChannelNorm, Pyramid, Reduce
from glocal.learn.graft import Residual

_DIRECTIONS = ((3, -1), (3, 1), (4, -1), (4, 1))
"""Dimension of ``(b, 2, c, h, w)`` that a quarter of the heads is shifted along, and the way."""


class MsaConv(nn.Module):
    """Multi-head self-attention convolution: ``y_i = sum over j in W(i) of a_ij v_j``.

    ``a_i = softmax_j(q_i k_j / sqrt(d))`` in each head, where ``W(i)`` is the window of a
    convolution of side `kernel` around ``i``, with gaps if it is dilated; depthwise, if there are
    as many heads as channels. As in a convolution, keys and values are 0 outside of the map.

    Two strategies let a window reach farther. *Shifted cyclically in several directions*: the
    window of each quarter of the heads lies `shift` cells away, up, down, to the left and to the
    right, and goes on at the other side of the map. *Pooled between*: keys and values are means of
    the cells that would fall into the gaps of a dilated window.

    Args:
        width: channels.
        heads: number of heads, a multiple of 4 if windows are shifted.
        kernel: side of a window, an odd number.
        dilation: distance between the cells of a window; odd if it is pooled.
        shift: how far windows are shifted, in cells; 0 for not at all.
        pooled: whether keys and values are pooled.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        kernel: int = 3,
        *,
        dilation: int = 1,
        shift: int = 0,
        pooled: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.kernel, self.dilation = heads, kernel, dilation
        self.shift, self.pooled = shift, pooled
        self.project, self.join = CellLinear(width, 3 * width), CellLinear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within windows of ``(b, width, h, w)``."""
        query, both = self.project(x).tensor_split([x.shape[1]], dim=1)
        query = query.unflatten(1, (self.heads, -1))
        both = self.windows(self._far(both)).unflatten(1, (2, self.heads, -1))
        scores = (query[:, :, :, None] * both[:, 0]).sum(dim=2, keepdim=True)
        weights = (scores * query.shape[2] ** -0.5).softmax(dim=3)
        found = (weights * both[:, 1]).sum(dim=3)
        joined: Tensor = self.join(found.flatten(1, 2))
        return joined

    def windows(self, x: Tensor) -> Tensor:
        """The cells of every cell's window, row by row, 0 outside: ``(b, c, kernel^2, h, w)``."""
        edge = self.dilation * (self.kernel // 2)
        offsets = torch.arange(self.kernel, device=x.device) * self.dilation
        found = functional.pad(x, (edge, edge, edge, edge))
        # Cells are picked by number: slices of sides that are not known make export very slow.
        for dim, side in ((2, x.shape[2]), (4, x.shape[3])):
            places = torch.arange(side, device=x.device)[:, None] + offsets
            found = found.index_select(dim, places.flatten()).unflatten(dim, places.shape)
        return found.permute(0, 1, 3, 5, 2, 4).flatten(2, 3)

    def _far(self, both: Tensor) -> Tensor:
        """Keys and values ``(b, 2 c, h, w)``, pooled, and shifted by quarters of the heads."""
        if self.pooled:
            both = functional.avg_pool2d(both, self.dilation, 1, self.dilation // 2)
        if not self.shift:
            return both
        quarters = both.unflatten(1, (2, 4, -1)).unbind(dim=2)
        moved = [
            part.roll(-way * self.shift, dim)
            for part, (dim, way) in zip(quarters, _DIRECTIONS, strict=True)
        ]
        return torch.stack(moved, dim=2).flatten(1, 3)


class Tic(Pyramid):
    """Vision transformer in convolution (Zhang, Wang, Bian and Xiong, 2023).

    A block is ``x + MSA-Conv(norm(x))`` and then ``x + MLP(norm(x))``. Every other one of a stage
    has windows that are shifted, dilated and pooled (`MsaConv`). There are no positions, so the
    same weights take images of any size.

    Deviations: the paper's text was not at hand. The layer follows the authors' code, which pads
    with zeros that take part in the softmax, and scales by the width of one head; heads are several
    as in the paper's title for it. That code has no network: stages, perceptrons, and what the two
    strategies compute follow the abstract, in our reading of their names. Published sizes are not
    here, and no count is compared.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
    """

    widths: ClassVar[tuple[int, ...]]
    depths: ClassVar[tuple[int, ...]]
    heads: ClassVar[tuple[int, ...]]
    kernel: ClassVar[int] = 3
    gap: ClassVar[int] = 3
    shift: ClassVar[int] = 4

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        stages: list[nn.Module] = []
        before = 3
        for number, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            down: list[nn.Module] = [Reduce(before, width, 3, 2, 1), ChannelNorm(width)]
            if not number:
                down += [nn.GELU(), Reduce(width, width, 3, 2, 1), ChannelNorm(width)]
            blocks = [self._block(number, far=bool(block % 2)) for block in range(depth)]
            stages.append(nn.Sequential(*down, *blocks))
            before = width
        self.assemble(stages, self.widths, weights)

    def _block(self, number: int, *, far: bool) -> nn.Sequential:
        width = self.widths[number]
        attention = MsaConv(
            width,
            self.heads[number],
            self.kernel,
            dilation=self.gap if far else 1,
            shift=self.shift if far else 0,
            pooled=far,
        )
        perceptron = (CellLinear(width, 4 * width), nn.GELU(), CellLinear(4 * width, width))
        return nn.Sequential(
            Residual(nn.Sequential(ChannelNorm(width), attention)),
            Residual(nn.Sequential(ChannelNorm(width), *perceptron)),
        )


class TicTiny(Tic):
    """The preset for small data: 0.2 M parameters."""

    widths, depths, heads = (16, 24, 32, 64), (2, 2, 2, 2), (4, 4, 4, 4)
