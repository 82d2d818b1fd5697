"""The selective scan in chunks: its cost grows linearly with the length of the sequence."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.blocks.selective_scan import states

_CHUNK, _LEVELS = 8, 3


def chunked_scan(x: Tensor, step: Tensor, decay: Tensor, into: Tensor, out: Tensor) -> Tensor:
    """The same as `glocal.learn.blocks.selective_scan.selective_scan`, for long sequences.

    The states inside chunks of 8 cells are computed in closed form. The states at the ends of the
    chunks are a sequence of the same kind, 8 times as short, and are computed likewise; so are
    theirs, three times, and the last sequence, 512 times as short, in closed form as a whole.
    Operations and memory grow linearly up to sequences of tens of thousands, and there is no loop
    over the length, so that graphs for ONNX fit any.

    Args:
        x: ``(b, c, l)``.
        step: ``(b, c, l)``, greater than 0.
        decay: ``(c, n)``, the diagonal ``A``, less than 0.
        into: ``(b, n, l)``, ``B``.
        out: ``(b, n, l)``, ``C``.

    Returns:
        ``(b, c, l)``.
    """
    fading = step[:, :, None] * decay[None, :, :, None]  # (b, c, n, l)
    driven = (step * x)[:, :, None] * into[:, None]
    return (_in_chunks(fading, driven, _LEVELS) * out[:, None]).sum(dim=2)


def _in_chunks(fading: Tensor, driven: Tensor, levels: int) -> Tensor:
    """As `states`, level by level."""
    length = fading.shape[-1]
    # A traced graph has all levels, since it has to fit any length.
    if not levels or (not torch.compiler.is_compiling() and length <= _CHUNK):
        return states(fading, driven)
    beyond = -length % _CHUNK
    fading, driven = (
        functional.pad(t, (0, beyond)).reshape(*t.shape[:-1], (length + beyond) // _CHUNK, _CHUNK)
        for t in (fading, driven)
    )
    inside = states(fading, driven)
    ends = _in_chunks(fading.sum(dim=-1), inside[..., -1], levels - 1)
    before = functional.pad(ends, (1, 0))[..., :-1]  # what each chunk begins with
    found = inside + fading.cumsum(dim=-1).exp() * before[..., None]
    return found.flatten(-2)[..., :length]


class RouteScan(nn.Module):
    """A selective scan along one route, whose step, ``B`` and ``C`` depend on the sequence.

    Args:
        width: channels.
        state: size of the state of each channel.
        rank: rank of the projection to the steps.
    """

    def __init__(self, width: int, state: int, rank: int) -> None:
        super().__init__()
        self.state, self.rank = state, rank
        self.select = nn.Conv1d(width, rank + 2 * state, 1, bias=False)
        self.step = nn.Conv1d(rank, width, 1)
        self.decay = nn.Parameter(torch.arange(1, state + 1).float().log().repeat(width, 1))
        self.skip = nn.Parameter(torch.ones(width))
        nn.init.constant_(self.step.bias, -3.0)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Scan ``(b, width, l)``."""
        low, into, out = self.select(x).split_with_sizes([self.rank, self.state, self.state], 1)
        step = functional.softplus(self.step(low))
        return chunked_scan(x, step, -self.decay.exp(), into, out) + self.skip[:, None] * x
