"""Networks whose activations are sines (Sitzmann et al., SIREN, NeurIPS 2020)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn


class SirenNet(nn.Module):
    """A sinusoidal representation network: h_k = sin(omega_k (W_k h_{k-1} + b_k)), y = W h + b.

    Weights are drawn as in the paper: of the first layer from U(-1/n, 1/n), of the others from
    U(-sqrt(6/n), sqrt(6/n)) (omega_k = 1), so that every layer's input is spread alike.

    Args:
        inputs: Length of the input.
        hidden: Width of the hidden layers.
        outputs: Length of the output.
        layers: Number of hidden layers, at least 1.
        frequency: omega_0 of the first layer.
    """

    def __init__(
        self, inputs: int, hidden: int, outputs: int, *, layers: int = 2, frequency: float = 1.0
    ) -> None:
        super().__init__()
        self.frequency = frequency
        widths = [inputs, *[hidden] * layers]
        self.hidden = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.last = nn.Linear(hidden, outputs)
        with torch.no_grad():
            for number, layer in enumerate([*self.hidden, self.last]):
                size = layer.weight.shape[1]
                bound = 1 / size if number == 0 else math.sqrt(6 / size)
                layer.weight.uniform_(-bound, bound)
                layer.bias.uniform_(-bound, bound)

    def forward(self, rows: Tensor) -> Tensor:
        """Take ``(n, inputs)`` to ``(n, outputs)``."""
        for number, layer in enumerate(self.hidden):
            rows = torch.sin((self.frequency if number == 0 else 1.0) * layer(rows))
        found: Tensor = self.last(rows)
        return found
