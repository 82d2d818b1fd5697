"""SelaVPR: adapters on a frozen backbone, for a global vector and for dense local features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Head, Level, Output
from glocal.learn.heads.delf import local_level
from glocal.learn.heads.gem import Gem
from glocal.learn.heads.strongest import pick_strongest


class SelaVpr(Head):
    """Seamless adaptation for visual place recognition (Lu, Zhang, Lan, Dong, Wang and Yuan, 2024).

    The backbone stays frozen. An adapter is a bottleneck beside an identity,
    ``A(x) = x + W_up relu(W_down x)``, and starts as the identity. The vector is the generalised
    mean of the adapted coarsest map; the local features are the cells of the adapted map before
    it, of unit length. A place is recognised by the vector, and the candidates are ranked anew by
    the mutual nearest neighbours among local features, without geometry (``--rerank mutual``).

    The local loss of an image ``q`` with its most similar image ``p`` of the same label and ``n``
    of another in the batch, ``M`` being the mutual nearest neighbours of two images, is

    ``L = mean over M(q, n) of f_q . f_n  -  mean over M(q, p) of f_q . f_p``.

    Deviations: the authors adapt each block of a vision transformer; here the maps that a frozen
    backbone gives are adapted, so that they can be computed once. The authors enlarge the last map
    by two transposed convolutions; here a 1x1 convolution, which starts as a rotation, shortens the
    finer map, and only the cells of the longest adapted features are kept. The vector can be
    whitened.

    Args:
        levels: levels of the backbone's feature maps.
        dim: length of the vector; None for the pooled features without whitening.
        local_dim: length of the descriptors.
        count: number of local features kept per image.
        hidden: width of the adapters' bottlenecks.
        local_weight: weight of the local loss.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        *,
        dim: int | None = 512,
        local_dim: int = 64,
        count: int = 128,
        hidden: int = 64,
        local_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.level, self.count, self.local_weight = local_level(levels), count, local_weight
        self.global_adapter = Adapter(levels[-1].width, hidden)
        self.local_adapter = Adapter(self.level.width, hidden)
        self.pool = Gem(levels, dim=dim)
        self.dim = self.pool.dim
        self.shorten = nn.Conv2d(self.level.width, local_dim, 1, bias=False)
        nn.init.orthogonal_(self.shorten.weight)

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """Adapt the last two maps; no gradient flows into them."""
        fine, coarse = (maps[-2] if len(maps) > 1 else maps[-1]).detach(), maps[-1].detach()
        vector = self.pool([self.global_adapter(coarse)]).vector
        adapted = self.local_adapter(fine)
        cells = functional.normalize(self.shorten(adapted).float(), dim=1)
        local, _ = pick_strongest(self.level, cells, adapted.float().norm(dim=1), self.count)
        return Output(vector, local, kept={"cells": cells.flatten(2)})

    def loss(self, output: Output, labels: Tensor) -> Tensor:
        """The local loss, a mean over images that have both another of their label and not."""
        cells, vectors = output.kept["cells"], output.vector.detach()
        own = labels[:, 0] if labels.ndim == 2 else labels
        similar = vectors @ vectors.T
        same = own[:, None] == own[None, :]
        itself = torch.eye(len(own), dtype=torch.bool, device=own.device)
        positive = similar.masked_fill(~same | itself, -torch.inf).argmax(dim=1)
        negative = similar.masked_fill(same, -torch.inf).argmax(dim=1)
        usable = (same & ~itself).any(dim=1) & (~same).any(dim=1)
        losses = [
            match_similarity(cells[number], cells[negative[number]])
            - match_similarity(cells[number], cells[positive[number]])
            for number in usable.nonzero().flatten().tolist()
        ]
        if not losses:
            return cells.sum() * 0
        return self.local_weight * torch.stack(losses).mean()


class Adapter(nn.Module):
    """A bottleneck of two 1x1 convolutions beside an identity, and nothing but that at first.

    Args:
        width: number of channels.
        hidden: channels of the bottleneck.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(width, hidden, 1), nn.Conv2d(hidden, width, 1)
        for parameter in self.up.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """``(b, width, h, w)`` to the same."""
        added: Tensor = self.up(functional.relu(self.down(x)))
        return x + added


def match_similarity(one: Tensor, other: Tensor) -> Tensor:
    """Mean similarity of the mutual nearest neighbours of two images.

    Args:
        one: ``(e, m)`` descriptors of unit length.
        other: ``(e, k)``.

    Returns:
        A scalar.
    """
    table = one.T @ other
    nearest, back = table.argmax(dim=1), table.argmax(dim=0)
    rows = torch.arange(len(nearest), device=nearest.device)
    mutual = back[nearest] == rows
    return table[rows[mutual], nearest[mutual]].mean()
