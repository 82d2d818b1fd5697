"""The contract of recipes: what a step of a training does with a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from torch import nn

from glocal.learn.contracts import Objective
from glocal.learn.model import Model

if TYPE_CHECKING:
    from glocal.learn.batches import Batch
    from glocal.learn.learning import Learning


class Recipe(nn.Module, ABC):
    """Owns the step of a training.

    A subclass is built as ``Recipe(model, objective=..., instance=..., self_weight=...)`` and takes
    options of its own by name. Whatever it keeps between steps is a module or a buffer of its own:
    a teacher (a copy of the model, frozen), further networks, a bank of vectors. A checkpoint then
    stores it, and a training resumes bit for bit. Parameters of its own that need a gradient are
    learned like the model's, those of objectives ten times as fast. The model itself belongs to
    `Learning`; a recipe that kept it would store it twice.

    Args:
        model: the model before its first step, to copy teachers from.
        objective: objective on labels; None without labels.
        instance: self-supervised objective; None without views.
        self_weight: weight of the self-supervised objective beside labels.

    Attributes:
        views: whether batches need images in two views each even where all images have labels.
    """

    views: ClassVar[bool] = False

    def __init__(
        self,
        model: Model,
        *,
        objective: Objective | None,
        instance: Objective | None,
        self_weight: float = 1.0,
    ) -> None:
        super().__init__()
        del model
        self.objective, self.instance, self.self_weight = objective, instance, self_weight

    @abstractmethod
    def step(self, learning: Learning, batch: Batch) -> dict[str, float]:
        """Learn from a batch.

        Most recipes compute terms of a loss, call `Learning.descend` with them, and then let a
        teacher follow or a bank forget. One with a backward pass of its own fills the gradients of
        `Learning.parameters` as it likes and calls `Learning.update`.

        Args:
            learning: the model, its optimizer, and the part of the training that is done.
            batch: images, with labels if the training has any.

        Returns:
            Figures for the curves; ``loss`` has to be among them.
        """

    def finish(self, model: Model) -> None:
        """Make a trained model ready to be exported, in place; most need nothing.

        Args:
            model: the moving average at its best, with what the recipe added to the model.
        """
        del model
