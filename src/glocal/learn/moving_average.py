"""The moving average of a model's weights, which is better than the weights of any one step."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from glocal.learn.model import Model


def moving_average(model: Model, decay: float) -> AveragedModel:
    """Make a copy of a model that follows it slowly (Polyak and Juditsky, 1992).

    The copy starts as the weights after the first step and follows faster in the beginning, so
    that it does not carry the first weights along.

    Args:
        model: the model to follow.
        decay: part of the copy that stays in each step, in [0, 1).

    Returns:
        The copy, in evaluation mode; `AveragedModel.update_parameters` after each step.
    """

    def follow(averages: Sequence[Tensor], values: Sequence[Tensor], steps: Tensor | int) -> None:
        step = int(steps) + 1
        keep = min(decay, step / (step + 10))
        for average, value in zip(averages, values, strict=True):
            if average.is_floating_point():
                average.lerp_(value, 1 - keep)
            else:
                average.copy_(value)

    copy = AveragedModel(model, multi_avg_fn=follow, use_buffers=True)
    copy.eval().requires_grad_(False)
    return copy
