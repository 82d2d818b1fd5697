"""The moving average of a model's weights, which is better than the weights of any one step."""

from __future__ import annotations

import copy

import torch

from glocal.learn.model import Model


class MovingAverage:
    """A copy of a model that follows it slowly (Polyak and Juditsky, 1992).

    In the beginning it follows faster, so that it does not carry the first weights along.

    Args:
        model: to be followed.
        decay: what stays of the copy in each step.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.model: Model = copy.deepcopy(model)
        self.model.eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: Model, step: int) -> None:
        """Follow the model after a step, counted from 1."""
        keep = min(self.decay, step / (step + 10))
        own = self.model.state_dict()
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                own[name].lerp_(value, 1 - keep)
            else:
                own[name].copy_(value)
