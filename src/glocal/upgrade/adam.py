"""Adam, for the small networks of bridges."""

from __future__ import annotations

import numpy as np

from glocal.upgrade.bridge import Arrays

BETAS = (0.9, 0.999)


class Adam:
    """The optimiser of Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015.

    Args:
        weights: What is learned, by name; the arrays change in place.
    """

    def __init__(self, weights: Arrays) -> None:
        self._weights = weights
        self._first = {name: np.zeros_like(array) for name, array in weights.items()}
        self._second = {name: np.zeros_like(array) for name, array in weights.items()}
        self._steps = 0

    def step(self, gradients: Arrays, rate: float) -> None:
        """Move all weights against their gradients, at this learning rate."""
        self._steps += 1
        slow, slower = BETAS
        scale = rate * np.sqrt(1 - slower**self._steps) / (1 - slow**self._steps)
        for name, gradient in gradients.items():
            first, second = self._first[name], self._second[name]
            first += (1 - slow) * (gradient - first)
            second += (1 - slower) * (gradient**2 - second)
            self._weights[name] -= np.float32(scale) * first / (np.sqrt(second) + 1e-8)
