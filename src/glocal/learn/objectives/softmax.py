"""Normalised softmax: classification by cosine similarity."""

from __future__ import annotations

from typing import ClassVar

from pytorch_metric_learning import losses
from torch import Tensor

from glocal.learn.contracts import Objective


class NormalisedSoftmax(Objective):
    """Softmax over cosines to class weights of unit length (Zhai and Wu, 2019).

    Args:
        dim: length of the vectors.
        classes: number of labels.
        temperature: divisor of the cosines.
    """

    learns_classes: ClassVar[bool] = True

    def __init__(self, *, dim: int, classes: int, temperature: float = 0.05) -> None:
        super().__init__()
        self.classes = classes
        self.loss = losses.NormalizedSoftmaxLoss(classes, dim, temperature=temperature)

    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of vectors ``(b, d)`` with labels ``(b,)``."""
        loss: Tensor = self.loss(vectors, labels)
        return loss
