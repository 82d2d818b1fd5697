"""The neighbours of each cell of a feature map, one offset at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional


def zero_padded(x: Tensor, kernel: int) -> Iterator[Tensor]:
    """For each offset of a window, row by row, the neighbour of every cell; 0 outside.

    Args:
        x: ``(b, c, h, w)``.
        kernel: side of the window, an odd number.

    Yields:
        ``kernel * kernel`` tensors shaped like `x`.
    """
    half = kernel // 2
    height, width = x.shape[2:]
    padded = functional.pad(x, (half, half, half, half))
    for row in range(kernel):
        for column in range(kernel):
            yield padded[:, :, row : row + height, column : column + width]


def window_starts(side: int, kernel: int, device: torch.device) -> Tensor:
    """Where the window of each place of a side begins, if windows may not reach over the edges."""
    return (torch.arange(side, device=device) - kernel // 2).clamp(0, max(side - kernel, 0))
