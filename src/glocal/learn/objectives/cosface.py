"""CosFace: a margin in cosine between a class and all others."""

from __future__ import annotations

from typing import ClassVar

from pytorch_metric_learning import losses
from torch import Tensor

from glocal.learn.contracts import Objective


class CosFace(Objective):
    """Large margin cosine loss (Wang et al., 2018).

    Args:
        dim: length of the vectors.
        classes: number of labels.
        margin: margin subtracted from the cosine to the correct class.
        scale: scale of the cosines.
    """

    learns_classes: ClassVar[bool] = True

    def __init__(
        self, *, dim: int, classes: int, margin: float = 0.35, scale: float = 30.0
    ) -> None:
        super().__init__()
        self.classes = classes
        self.loss = losses.CosFaceLoss(classes, dim, margin=margin, scale=scale)

    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of vectors ``(b, d)`` with labels ``(b,)``."""
        loss: Tensor = self.loss(vectors, labels)
        return loss
