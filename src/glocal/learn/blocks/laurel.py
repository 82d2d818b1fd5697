"""LAuReL: a learned residual weight and a low-rank path beside the identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.contracts import Block, Role


class Laurel(Block):
    """A learned augmented residual layer (Menghani, Kumar and Kumar, 2024).

    The sum ``x + f(x)`` becomes ``alpha f(x) + beta (B A x + x)``: the paper's residual weights
    (RW) together with its low-rank variant (LR), in which ``A`` has ``rank`` rows. ``alpha`` and
    ``beta`` start at 1 and ``B`` at 0, so that the trunk computes exactly what it did before.

    Deviations: of the paper's normalisations of ``alpha`` and ``beta`` (none, softmax, sigmoid) it
    has none; ``A`` starts orthogonal, and each layer has its own ``A`` and ``B``.

    Args:
        width: channels.
        layers: what computes ``f``; see `glocal.learn.graft.Residual`.
        rank: rank of the path; 0 for none.

    Raises:
        LearnError: there are no layers.
    """

    role: ClassVar[Role] = "residual"
    starts_as_identity: ClassVar[bool] = True

    def __init__(self, width: int, *, layers: Sequence[nn.Module], rank: int = 4) -> None:
        super().__init__(width)
        if not layers or not 0 <= rank <= width:
            raise LearnError(
                f"LAuReL needs layers and a rank from 0 to {width}, not {len(layers)} and {rank}"
            )
        self.layers = nn.ModuleList(layers)
        self.alpha = nn.Parameter(torch.ones(len(layers)))
        self.beta = nn.Parameter(torch.ones(len(layers)))
        self.down = nn.ModuleList(nn.Conv2d(width, rank, 1, bias=False) for _ in layers if rank)
        self.up = nn.ModuleList(nn.Conv2d(rank, width, 1, bias=False) for _ in layers if rank)
        for down in self.down:
            nn.init.orthogonal_(down.get_parameter("weight"))
        for up in self.up:
            nn.init.zeros_(up.get_parameter("weight"))

    def forward(self, x: Tensor) -> Tensor:
        """Pass through all layers."""
        for number, layer in enumerate(self.layers):
            skip = x
            if len(self.down):
                skip = x + self.up[number](self.down[number](x))
            x = self.beta[number] * skip + self.alpha[number] * layer(x)
        return x
