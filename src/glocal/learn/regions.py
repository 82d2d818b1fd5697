"""Region vectors for training: the vectors that searches compare, with gradients."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from glocal.encoders.regions import RegionSettings, windows_of


def region_vectors(contributions: Tensor, settings: RegionSettings) -> Tensor:
    """The vectors of all windows, from which an index keeps a few that represent all.

    `glocal.learn.heads.pooled.Pooled.contributions` gives what they are made of.

    Args:
        contributions: ``(b, h, w, d)``: what each cell adds to the vector.
        settings: the windows.

    Returns:
        ``(b, n, d)`` of unit length, in the order of `glocal.encoders.regions.every_region`.
    """
    _, rows, columns, _ = contributions.shape
    spans = torch.from_numpy(windows_of(rows, columns, settings).copy()).to(contributions.device)
    top, left, bottom, right = spans.T
    table = functional.pad(contributions.cumsum(1).cumsum(2), (0, 0, 1, 0, 1, 0))
    summed = (
        table[:, bottom, right]
        - table[:, top, right]
        - table[:, bottom, left]
        + table[:, top, left]
    )
    return functional.normalize(summed, dim=-1)
