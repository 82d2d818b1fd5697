"""How probable the whole numbers of each channel are, learned without a given form."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

_FILTERS = (1, 3, 3, 3, 1)
_SCALE = 2.0  # of the values at the beginning
_LEAST = 1e-9


class FactorizedPrior(nn.Module):
    """A distribution of its own for each channel, by a monotone function of several layers.

    The cumulative distribution is ``c = σ ∘ f_4 ∘ f_3 ∘ f_2 ∘ f_1`` with

        ``f_k(x) = g_k(softplus(H_k) x + b_k)``, ``g_k(x) = x + tanh(a_k) ⊙ tanh(x)``,

    without ``g`` in the last layer. A whole number ``y``, or one with uniform noise in its stead,
    has the probability ``c(y + 1/2) - c(y - 1/2)``.

    Source: Ballé, Minnen, Singh, Hwang and Johnston, Variational Image Compression with a Scale
    Hyperprior, 2018, appendix 6.1.

    Args:
        channels: number of channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        layers = len(_FILTERS) - 1
        step = _SCALE ** (1 / layers)
        self.matrices, self.shifts, self.factors = (nn.ParameterList() for _ in range(3))
        for wide, out in pairwise(_FILTERS):
            first = math.log(math.expm1(1 / step / out))
            self.matrices.append(nn.Parameter(torch.full((channels, out, wide), first)))
            self.shifts.append(nn.Parameter(torch.rand(channels, out, 1) - 0.5))
            self.factors.append(nn.Parameter(torch.zeros(channels, out, 1)))

    def forward(self, values: Tensor) -> Tensor:
        """Probabilities of values ``(b, channels, h, w)``, of the same shape, above 0."""
        rows = values.transpose(0, 1).reshape(self.channels, 1, -1)
        found = self._probable(rows).reshape(values.transpose(0, 1).shape)
        return found.transpose(0, 1)

    @torch.no_grad()
    def table(self, most: int) -> Tensor:
        """Probabilities ``(channels, 2 most + 1)`` of the whole numbers from ``-most`` on.

        What is beyond counts to the first and the last, so that rows sum to one.
        """
        numbers = torch.arange(-most, most + 1).to(self.matrices[0]).expand(self.channels, 1, -1)
        found = self._probable(numbers)[:, 0].double()
        found[:, 0] += self._cumulative(numbers[:, :, :1] - 0.5).sigmoid()[:, 0, 0]
        found[:, -1] += (-self._cumulative(numbers[:, :, -1:] + 0.5)).sigmoid()[:, 0, 0]
        return found / found.sum(dim=1, keepdim=True)

    def _probable(self, rows: Tensor) -> Tensor:
        above, below = self._cumulative(rows + 0.5), self._cumulative(rows - 0.5)
        # Differences of two numbers near one would be rounded off; the other tail has them exactly.
        sign = -(above + below).detach().sign()
        return ((sign * above).sigmoid() - (sign * below).sigmoid()).abs().clamp_min(_LEAST)

    def _cumulative(self, x: Tensor) -> Tensor:
        """Logits of the cumulative distributions of rows ``(channels, 1, n)``."""
        last = len(self.matrices) - 1
        for number, matrix in enumerate(self.matrices):
            x = functional.softplus(matrix) @ x + self.shifts[number]
            if number < last:
                x = x + self.factors[number].tanh() * x.tanh()
        return x
