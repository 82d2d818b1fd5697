"""ELA: gates for rows and columns from one-dimensional convolutions."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from glocal.learn.contracts import Block, Role


class EfficientLocalAttention(Block):
    """Efficient local attention (Xu and Wan, 2024).

    The feature map is averaged along its rows and along its columns. Each of the two strips
    ``z`` becomes a gate ``sigmoid(GroupNorm(Conv1d(z)))``, and the output is
    ``x * gate of the row * gate of the column``. Channels are not reduced.

    Deviations: one convolution and normalisation serve both strips, as in the authors' code. The
        default is the variant ELA-B: a kernel of 7, one filter for each channel, groups of 16 (or
        as many as divide the channels) for the normalisation.

    Args:
        width: channels.
        kernel: length of the one-dimensional kernel, an odd number.
        norm_groups: largest number of groups of the normalisation.
    """

    role: ClassVar[Role] = "gate"

    def __init__(
        self,
        width: int,
        *,
        out: int | None = None,
        stride: int = 1,
        kernel: int = 7,
        norm_groups: int = 16,
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        groups = max(n for n in range(1, norm_groups + 1) if width % n == 0)
        self.mix = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width, bias=False)
        self.norm = nn.GroupNorm(groups, width)

    def gates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The gates of rows ``(b, c, h)`` and of columns ``(b, c, w)``, in (0, 1)."""
        rows, columns = x.mean(dim=3), x.mean(dim=2)
        return self.norm(self.mix(rows)).sigmoid(), self.norm(self.mix(columns)).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Weight each cell by the gates of its row and its column."""
        rows, columns = self.gates(x)
        return x * rows[..., None] * columns[:, :, None]
