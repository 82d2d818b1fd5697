"""Contrastive loss: pull pairs of one label together, push others apart."""

from __future__ import annotations

from pytorch_metric_learning import losses
from torch import Tensor

from glocal.learn.contracts import Objective


class Contrastive(Objective):
    """Contrastive loss over all pairs of a batch (Hadsell, Chopra and LeCun, 2006).

    Pairs of one label cost their distance, other pairs what their distance lacks of the margin;
    each kind is averaged over the pairs with a cost. Unlike in the paper, distances are not
    squared: between unit vectors, squared small distances would cost nearly nothing.

    Args:
        margin: margin of the distance between unit vectors, which is at most 2; Radenović, Tolias
            and Chum use 0.7 for retrieval.
    """

    def __init__(self, *, margin: float = 0.7) -> None:
        super().__init__()
        self.loss = losses.ContrastiveLoss(pos_margin=0, neg_margin=margin)

    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The mean losses over pairs of vectors ``(b, d)`` with labels ``(b,)``."""
        loss: Tensor = self.loss(vectors, labels)
        return loss
