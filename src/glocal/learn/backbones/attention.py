"""Attention between tokens with several heads, and feature maps as tokens."""

from __future__ import annotations

from torch import Tensor, nn


def attend(
    query: Tensor, key: Tensor, value: Tensor, heads: int, bias: Tensor | None = None
) -> Tensor:
    """``softmax(Q K^T / sqrt(d) + bias) V`` for each head.

    Args:
        query: ``(..., n, c)``; head by head, ``d = c / heads`` numbers each.
        key: ``(..., m, c)``.
        value: ``(..., m, e)``, of any width that the heads divide.
        heads: number of heads.
        bias: added to the scores; broadcast to ``(..., heads, n, m)``.

    Returns:
        ``(..., n, e)``.
    """
    query, key, value = (_heads(x, heads) for x in (query, key, value))
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    if bias is not None:
        scores = scores + bias
    return (scores.softmax(dim=-1) @ value).transpose(-2, -3).flatten(-2)


def tokens(x: Tensor) -> Tensor:
    """The cells of a feature map ``(b, c, h, w)`` as ``(b, h w, c)``, row by row."""
    return x.flatten(2).transpose(1, 2)


def like(found: Tensor, x: Tensor) -> Tensor:
    """Tokens ``(b, h w, c)`` as a feature map of the sides of ``x``: ``(b, c, h, w)``."""
    return found.transpose(1, 2).unflatten(2, x.shape[2:])


class SelfAttention(nn.Module):
    """Self-attention of tokens ``(..., n, width)``, with its projections.

    Args:
        width: channels.
        heads: number of heads.
        bias: whether queries, keys and values have biases.
    """

    def __init__(self, width: int, heads: int, *, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """What each token gathers from all."""
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        found: Tensor = self.out(attend(query, key, value, self.heads))
        return found


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(-2, -3)
