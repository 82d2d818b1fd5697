"""Supervised contrastive: each image tells its fellows from all others of the batch."""

from __future__ import annotations

from pytorch_metric_learning import losses
from torch import Tensor

from glocal.learn.contracts import Objective


class SupervisedContrastive(Objective):
    """InfoNCE with every image of the label as a positive (Khosla et al., 2020).

    It has no weights of its own for classes, so it suits many labels with a few images each:
    views of a place, photos of a product.

    Args:
        temperature: that similarities are divided by. 0.06 is also what views without labels
            are compared at.
    """

    def __init__(self, *, temperature: float = 0.06) -> None:
        super().__init__()
        self.loss = losses.SupConLoss(temperature=temperature)

    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The mean loss over vectors ``(b, d)`` with labels ``(b,)`` that have a fellow."""
        loss: Tensor = self.loss(vectors, labels)
        return loss
