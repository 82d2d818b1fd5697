"""CL2R: learn new classes with a small memory of old ones, whose vectors stay where they were."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from glocal.learn.learning import Learning
from glocal.learn.model import Model
from glocal.learn.recipes.compatible import Compatible


class LifelongLearning(Compatible):
    """Compatible lifelong learning (Biondi, Pernici, Bruni, Mugnai and Del Bimbo, 2023).

    The images of each task are those of new classes and an episodic memory ``M`` with a few of
    each class before. The representation stays stationary globally, by the fixed vertices of a
    d-simplex as class weights (`FixedPolytope`, ``--objective cores``), and locally, by the
    distillation of the vectors of what is in the memory::

        L = L_CE + lambda L_FD,    L_FD = 1/|M| sum_{x in M} 1 - cos(phi_t(x), phi_{t-1}(x))

    The memory is what the training's images have of the old model's classes; there is nothing
    else to name. Without an order of classes in the old model's card, all images count as memory.

    Deviations: a batch has as many images of the memory as come; the paper's has half.

    Args:
        distillation: ``lambda``.
    """

    def __init__(self, model: Model, *, distillation: float = 10.0, **given: Any) -> None:
        super().__init__(model, **given)
        self.distillation = distillation

    def ties(
        self, learning: Learning, old: Tensor, new: Tensor, labels: Tensor | None
    ) -> dict[str, Tensor]:
        """The distillation of what is in the memory."""
        del learning
        apart = 1 - (new * old).sum(dim=1)
        if labels is not None and self.old.classes:
            remembered = labels < len(self.old.classes)
            apart = torch.where(remembered, apart, 0.0).sum() / remembered.sum().clamp(min=1)
        return {"loss memory": self.distillation * apart.mean()}
