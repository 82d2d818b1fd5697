"""Fused neighbourhood attention: each cell attends to a window without storing the attention."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.blocks.neighbourhoods import window_starts
from glocal.learn.contracts import Block, Role


def fused_attention(queries: Tensor, keys: Tensor, values: Tensor, kernel: int) -> Tensor:
    """Neighbourhood attention with a running softmax (Hassani, Hwu and Shi, 2024).

    Each cell attends to the ``kernel x kernel`` cells nearest to it; at the edges the window stays
    inside. As in the paper's fused kernels, neither the attention weights nor the gathered keys of
    all offsets are ever stored: the largest score, the sum of the exponentials and the weighted sum
    of the values are updated from one offset to the next.

    Args:
        queries: ``(b, heads, d, h, w)``, scaled.
        keys: likewise.
        values: likewise.
        kernel: side of the window, at most `h` and `w`.

    Returns:
        ``(b, heads, d, h, w)``.
    """
    height, width = queries.shape[-2:]
    rows = window_starts(height, kernel, queries.device)
    columns = window_starts(width, kernel, queries.device)
    most = queries.new_full((*queries.shape[:2], 1, height, width), -torch.inf)
    total, summed = torch.zeros_like(most), torch.zeros_like(values)
    for down in range(kernel):
        for across in range(kernel):
            key, value = (
                t.index_select(-2, rows + down).index_select(-1, columns + across)
                for t in (keys, values)
            )
            score = (queries * key).sum(dim=2, keepdim=True)
            higher = torch.maximum(most, score)
            shrunk, weight = (most - higher).exp(), (score - higher).exp()
            total = total * shrunk + weight
            summed = summed * shrunk + weight * value
            most = higher
    return summed / total


class NeighbourhoodAttention(Block):
    """Neighbourhood attention in several heads, computed by `fused_attention`.

    Deviations: the paper's kernels are for GPUs and fuse blocks of queries; here what is fused is
    the loop over the offsets of the window. Dilation is not implemented.

    Args:
        width: channels.
        out: as `width`.
        stride: 1.
        heads: number of heads.
        kernel: side of the window in cells; feature maps smaller than it are attended to as a
            whole.

    Raises:
        LearnError: the heads do not divide the channels.
    """

    role: ClassVar[Role] = "mixer"
    fixed_size: ClassVar[bool] = True

    def __init__(
        self,
        width: int,
        *,
        out: int | None = None,
        stride: int = 1,
        heads: int = 4,
        kernel: int = 3,
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        if width % heads:
            raise LearnError(f"{heads} heads do not divide {width} channels; use another number")
        self.heads, self.kernel = heads, kernel
        self.project = nn.Conv2d(width, 3 * width, 1)
        self.join = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Attend to the neighbours."""
        batch, _, height, width = x.shape
        shape = (batch, 3, self.heads, self.width // self.heads, height, width)
        queries, keys, values = self.project(x).reshape(shape).unbind(dim=1)
        queries = queries * (self.width // self.heads) ** -0.5
        kernel = min(self.kernel, height, width)
        mixed: Tensor = self.join(fused_attention(queries, keys, values, kernel).flatten(1, 2))
        return mixed
