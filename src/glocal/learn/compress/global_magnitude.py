"""Global magnitude pruning: the smallest weights of all layers together become zero."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from glocal.errors import CompressError
from glocal.learn.compress.compressor import Compressor, Evidence, Saves
from glocal.learn.compress.weight_masks import WeightPlan, highest, prunable


class GlobalMagnitude(Compressor[WeightPlan]):
    """Weights are ranked by ``|w|`` over the whole network, and the lowest are set to zero.

    So that no layer loses all its weights at high sparsity, which would cut the network in two, a
    minimum threshold (MT) of each layer's highest weights is kept in any case.

    Source: Gupta, Camci, Keneta, Vaidyanathan, Kanodia, Foo, Wu and Lin, Is Complexity Required
    for Neural Network Pruning? A Case Study on Global Magnitude Pruning, 2022.

    Deviations: the floor is a share of each layer, not a number of weights. The plan is made in one
    step; for a gradual pruning, plan again during a training and call `WeightPlan.hold`.

    Args:
        floor: share of each layer that is kept in any case, in [0, 1).
    """

    name = "global-mp"
    saves: ClassVar[Saves] = "weights"
    data_free = True

    def __init__(self, floor: float = 0.01) -> None:
        if not 0 <= floor < 1:
            raise CompressError(f"floor has to be in [0, 1), not {floor!r}")
        self.floor = floor

    def _plan(self, model: nn.Module, keep: float, evidence: Evidence | None) -> WeightPlan:
        magnitudes = {name: weight.detach().abs() for name, weight in prunable(model).items()}
        return highest(magnitudes, keep, floor=self.floor)
