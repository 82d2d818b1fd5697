"""DCAL: attention of salient cells to all, and attention with a second image as distractor."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.contracts import Block, Role


class DualCrossAttention(Block):
    """Dual cross-attention learning (Zhu et al., 2022).

    Self-attention ``SA(x) = softmax(Q K^T / sqrt(d)) V``. Global-local cross-attention: the cells
    with the highest response, a share ``R`` of all, attend to all cells once more with projections
    of their own, ``softmax(Q_l K_g^T / sqrt(d)) V_g``. Pair-wise cross-attention: in training, an
    image's queries meet the keys and values of another image as well, ``softmax(Q_1 [K_1; K_2]^T /
    sqrt(d)) [V_1; V_2]`` with the projections of self-attention. In evaluation it is absent.

    Deviations: a block has one output, so that in training the pair-wise result and that of
    self-attention are averaged (the authors give each branch a loss, weighted by its uncertainty;
    `pairwise` allows for that), and the global-local result is added to that of self-attention.
    The response of a cell is the attention that it receives from all cells in this layer; `rollout`
    gives the accumulated one of several layers. The other image is the one before in the batch.

    Args:
        width: channels.
        heads: heads of the attentions; they divide the channels.
        share: ``R``, the share of cells that are salient, in (0, 1].

    Raises:
        LearnError: the heads do not divide the channels, or the share is out of range.
    """

    role: ClassVar[Role] = "mixer"

    def __init__(
        self,
        width: int,
        *,
        out: int | None = None,
        stride: int = 1,
        heads: int = 4,
        share: float = 0.1,
    ) -> None:
        super().__init__(width, out=out, stride=stride)
        if width % heads or not 0 < share <= 1:
            raise LearnError(
                f"{heads} heads have to divide {width} channels, and the share {share} has to be "
                "above 0 and at most 1; choose others"
            )
        self.heads, self.share = heads, share
        self.shared = nn.Linear(width, 3 * width)
        self.local = nn.Linear(width, 3 * width)
        self.join_shared, self.join_local = nn.Linear(width, width), nn.Linear(width, width)

    def attend(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Self-attention of tokens ``(b, n, width)``, and its weights ``(b, n, n)``."""
        query, key, value = self._projected(self.shared, x)
        weights = _weights(query, key)
        return self.join_shared(_joined(weights @ value)), weights.mean(dim=1)

    def pairwise(self, x: Tensor, other: Tensor) -> Tensor:
        """Attention of tokens to those of their own image and of another, ``(b, m, width)``."""
        query, key, value = self._projected(self.shared, x)
        _, far_key, far_value = self._projected(self.shared, other)
        weights = _weights(query, torch.cat([key, far_key], dim=2))
        found: Tensor = self.join_shared(_joined(weights @ torch.cat([value, far_value], dim=2)))
        return found

    def global_local(self, x: Tensor, response: Tensor) -> Tensor:
        """What salient tokens gather from all; zero for the others.

        Args:
            x: ``(b, n, width)``.
            response: ``(b, n)``: how salient each token is.
        """
        query, key, value = self._projected(self.local, x)
        found: Tensor = self.join_local(_joined(_weights(query, key) @ value))
        return found * self.salient(response)[..., None].to(x.dtype)

    def salient(self, response: Tensor) -> Tensor:
        """Which tokens belong to the share with the highest response: ``(b, n)`` bool."""
        # Ranks by comparison need no sorting, which ONNX could not do for any size. Of equal
        # responses the first comes first.
        places = torch.arange(response.shape[1], device=response.device)
        first = places[None, :] < places[:, None]
        higher = response[:, None, :] > response[:, :, None]
        equal = response[:, None, :] == response[:, :, None]
        rank = (higher | (equal & first)).sum(dim=2)
        return rank < self.share * response.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """From ``(b, width, h, w)`` to the same shape."""
        cells = x.flatten(2).transpose(1, 2)
        found, weights = self.attend(cells)
        if self.training:
            found = (found + self.pairwise(cells, cells.roll(1, dims=0))) / 2
        found = found + self.global_local(cells, weights.sum(dim=1))
        refined: Tensor = found.transpose(1, 2).unflatten(2, x.shape[2:])
        return refined

    def _projected(self, layer: nn.Module, x: Tensor) -> list[Tensor]:
        """Queries, keys and values ``(b, heads, n, width / heads)``."""
        return [
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in layer(x).chunk(3, dim=2)
        ]


def rollout(layers: list[Tensor]) -> Tensor:
    """Accumulated attention of several layers, ``(b, n, n)`` each: products of ``(A + I) / 2``."""
    found = torch.eye(layers[0].shape[-1], dtype=layers[0].dtype, device=layers[0].device)
    for weights in layers:
        own = torch.eye(weights.shape[-1], dtype=weights.dtype, device=weights.device)
        found = (weights + own) / 2 @ found
    return found


def _weights(query: Tensor, key: Tensor) -> Tensor:
    found: Tensor = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(dim=-1)
    return found


def _joined(found: Tensor) -> Tensor:
    return found.transpose(1, 2).flatten(2)
