"""Hyper-connections: several residual streams, mixed in depth and width by learned weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.contracts import Block, Role


class HyperConnections(Block):
    """Residual layers joined by hyper-connections (Zhu et al., 2024).

    The input is copied into ``n`` streams ``H``, rows of a matrix. Layer ``T`` of number ``k``
    takes ``h = A_m^T H`` and gives ``H' = B^T T(h) + A_r^T H``: ``A_m`` mixes the streams into the
    layer's input, ``A_r`` among themselves (width connections), ``B`` weights the result for each
    (depth connections). The output is the sum of the streams. With ``A_m`` the unit vector of
    stream ``k mod n``, ``A_r = I`` and ``B = 1``, their start, every stream is an ordinary residual
    stream, and with one stream the block is the ordinary residual.

    With ``dynamic``, the paper's dynamic hyper-connections, ``s * tanh(norm(H) W)`` is added to
    each of the matrices, with ``W`` 0 at the start. Deviations: a stream's features are normalised
    over the channels after the mean over the cells, since one matrix serves the whole map; and the
    sum of the streams is divided by their number, so that the scale of the output is that of one
    stream.

    Args:
        width: channels.
        layers: what computes the sums; see `glocal.learn.graft.Residual`.
        streams: number of streams ``n``.
        dynamic: whether the matrices depend on the features.

    Raises:
        LearnError: there are no layers or no streams.
    """

    role: ClassVar[Role] = "residual"

    def __init__(
        self, width: int, *, layers: Sequence[nn.Module], streams: int = 2, dynamic: bool = False
    ) -> None:
        super().__init__(width)
        if not layers or streams < 1:
            raise LearnError(
                f"hyper-connections need layers and streams, not {len(layers)} and {streams}"
            )
        self.layers, self.streams = nn.ModuleList(layers), streams
        first = torch.zeros(len(layers), streams)
        first[torch.arange(len(layers)), torch.arange(len(layers)) % streams] = 1
        self.depth = nn.Parameter(torch.ones(len(layers), streams))  # B
        self.into = nn.Parameter(first)  # A_m
        self.among = nn.Parameter(torch.eye(streams).repeat(len(layers), 1, 1))  # A_r
        self.dynamic = nn.ModuleList(_Dynamic(width, streams) for _ in layers) if dynamic else None

    def forward(self, x: Tensor) -> Tensor:
        """Pass the streams through all layers and average them."""
        held = x[:, None].expand(-1, self.streams, -1, -1, -1)
        for number, layer in enumerate(self.layers):
            depth, into, among = self.depth[number], self.into[number], self.among[number]
            if self.dynamic is not None:
                more = self.dynamic[number](held)
                depth, into, among = depth + more[0], into + more[1], among + more[2]
                depth = depth[..., None, None, None]
                taken = torch.einsum("bn,bnchw->bchw", into, held)
                mixed = torch.einsum("bnm,bnchw->bmchw", among, held)
            else:
                depth = depth[:, None, None, None]
                taken = torch.einsum("n,bnchw->bchw", into, held)
                mixed = torch.einsum("nm,bnchw->bmchw", among, held)
            held = depth * layer(taken)[:, None] + mixed
        return held.mean(dim=1)


class _Dynamic(nn.Module):
    """What the features add to ``B``, ``A_m`` and ``A_r``."""

    def __init__(self, width: int, streams: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.depth = nn.Linear(width, 1, bias=False)
        self.into = nn.Linear(width, 1, bias=False)
        self.among = nn.Linear(width, streams, bias=False)
        self.scales = nn.Parameter(torch.full((3,), 0.01))
        for linear in (self.depth, self.into, self.among):
            nn.init.zeros_(linear.weight)

    def forward(self, held: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.norm(held.mean(dim=(3, 4)))
        return (
            self.scales[0] * torch.tanh(self.depth(features))[..., 0],
            self.scales[1] * torch.tanh(self.into(features))[..., 0],
            self.scales[2] * torch.tanh(self.among(features)),
        )
