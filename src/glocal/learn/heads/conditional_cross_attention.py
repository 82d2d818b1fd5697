"""One network, several embedding spaces: a chosen attribute asks the cells for what matters to it.

Source: Song, Yun, Lim, Han, Lee and Kim, Conditional Cross Attention Network for Multi-Space
Embedding without Entanglement in Only a SINGLE Network, 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Head, Level, Output


class ConditionalCrossAttention(Head):
    """Cross attention whose query is a condition and whose keys and values are an image's cells.

    ``A = softmax((c W_q)(X W_k)ᵀ / √d) (X W_v)`` with the condition's embedding c and the cells X
    of the last feature map, several heads, and ``Z = c + A``; the vector is ``Z + FFN(LN(Z))``,
    projected to unit length. Another condition looks at other cells, and the network that follows
    knows which it is, so that each attribute has an embedding space of its own while all weights
    but c are shared.

    Deviations: the cells are those of a convolutional trunk, without self attention before; the
    paper's is a vision transformer. Without a condition the mean of all embeddings asks.

    Args:
        levels: of the feature maps; the last is used.
        dim: length of the vector.
        conditions: how many attributes there are.
        width: of the attention.
        heads: of the attention.
    """

    conditioned: ClassVar[bool] = True

    def __init__(
        self,
        levels: Sequence[Level],
        *,
        dim: int = 512,
        conditions: int = 4,
        width: int = 256,
        heads: int = 4,
    ) -> None:
        super().__init__()
        if conditions < 1 or width % heads:
            raise LearnError(
                f"there are {conditions} conditions and {heads} heads of a width of {width}; give "
                "at least one condition, and a width that the heads divide"
            )
        self.dim, self.heads, self.conditions = dim, heads, conditions
        self.embedding = nn.Parameter(0.02 * torch.randn(conditions, width))
        self.cells = nn.Linear(levels[-1].width, width)
        self.before = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.project = nn.Linear(width, dim)

    def forward(self, maps: Sequence[Tensor], condition: Tensor | None = None) -> Output:
        """The vectors of images under a condition.

        Args:
            maps: fine to coarse.
            condition: ``(b,)`` int64, which attribute counts for each image; `None` for all.
        """
        asked = self.embedding.mean(dim=0, keepdim=True)
        if condition is not None:
            asked = self.embedding[condition]
        cells = self.before(self.cells(maps[-1].flatten(2).transpose(1, 2)))
        batch, count, width = cells.shape
        each = width // self.heads
        query = self.query(asked).reshape(-1, self.heads, 1, each)
        keys, values = (
            layer(cells).reshape(batch, count, self.heads, each).transpose(1, 2)
            for layer in (self.key, self.value)
        )
        weights = torch.softmax((query * keys).sum(dim=-1) / each**0.5, dim=-1)
        seen = asked + (weights[..., None] * values).sum(dim=2).reshape(batch, width)
        vector = self.project(seen + self.feed(seen)).float()
        return Output(functional.normalize(vector, dim=1))
