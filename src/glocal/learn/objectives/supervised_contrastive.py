"""Supervised contrastive loss: images of one label against all others of the batch."""

from __future__ import annotations

from pytorch_metric_learning import losses
from torch import Tensor

from glocal.learn.contracts import Objective


class SupervisedContrastive(Objective):
    """InfoNCE with every image of the label as a positive (Khosla et al., 2020).

    It has no class weights, so it suits many labels with a few images each: views of a place,
    photos of a product.

    Args:
        temperature: divisor of the similarities; 0.06 is also the default of the self-supervised
            objective.
    """

    def __init__(self, *, temperature: float = 0.06) -> None:
        super().__init__()
        self.loss = losses.SupConLoss(temperature=temperature)

    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of the vectors ``(b, d)`` that share their label ``(b,)`` with another."""
        loss: Tensor = self.loss(vectors, labels)
        return loss
