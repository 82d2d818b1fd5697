"""LR-Net's local relation layer: weights of aggregation from pairs of cells."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.blocks.neighbourhoods import zero_padded
from glocal.learn.contracts import Block, Role


class LocalRelation(Block):
    """A local relation layer (Hu, Zhang, Xie and Lin, 2019), in the place of a 3x3 convolution.

    The weight of a neighbour ``p'`` for the cell ``p`` is ``softmax over p' of Phi(q(p), k(p')) +
    g(p' - p)``: ``q`` and ``k`` are one number for each group of channels, by 1x1 convolutions,
    ``Phi`` is ``-(q - k)^2``, and the geometric prior ``g`` is a network of two layers of the
    offset. The neighbours' features themselves are summed, with one weight for all channels of a
    group.

    Deviations: neighbours outside the feature map get no weight, where the authors leave open how
    they count; a 1x1 convolution follows, so that the layer can widen and mixes the groups.

    Args:
        width: channels of the input.
        out: channels of the output.
        stride: 1.
        share: channels of a group, the paper's ``m``.
        kernel: side of the window in cells, an odd number.

    Raises:
        LearnError: groups do not divide the channels, or the window has no centre.
    """

    role: ClassVar[Role] = "conv"
    widens: ClassVar[bool] = True

    def __init__(
        self,
        width: int,
        *,
        out: int | None = None,
        stride: int = 1,
        share: int = 8,
        kernel: int = 5,
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        share = min(share, width)
        if width % share or kernel % 2 == 0:
            raise LearnError(
                f"groups of {share} do not divide {width} channels, or the window {kernel} is even"
            )
        self.share, self.kernel = share, kernel
        self.query = nn.Conv2d(width, width // share, 1)
        self.key = nn.Conv2d(width, width // share, 1)
        self.prior = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, width // share))
        half = kernel // 2
        line = torch.arange(-half, half + 1, dtype=torch.float32) / max(half, 1)
        self.register_buffer("offsets", torch.cartesian_prod(line, line))
        self.join = nn.Conv2d(width, self.out, 1, bias=False)

    def weights(self, x: Tensor) -> Tensor:
        """The weights ``(b, groups, kernel^2, h, w)``, whose sum over the neighbours is 1."""
        query = self.query(x)
        prior = self.prior(self.get_buffer("offsets"))
        inside = zero_padded(torch.ones_like(x[:1, :1]), self.kernel)
        scores = [
            (prior[number][:, None, None] - (query - key).square()).masked_fill(
                mask == 0, -torch.inf
            )
            for number, (key, mask) in enumerate(
                zip(zero_padded(self.key(x), self.kernel), inside, strict=True)
            )
        ]
        return torch.stack(scores, dim=2).softmax(dim=2)

    def forward(self, x: Tensor) -> Tensor:
        """Sum the neighbours by their weights."""
        weights = self.weights(x)
        summed = torch.zeros_like(x)
        for number, neighbour in enumerate(zero_padded(x, self.kernel)):
            summed = summed + neighbour * weights[:, :, number].repeat_interleave(self.share, dim=1)
        found: Tensor = self.join(summed)
        return found
