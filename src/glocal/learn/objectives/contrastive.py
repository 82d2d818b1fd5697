"""Contrastive pairs: own ones together, others apart."""

from __future__ import annotations

from pytorch_metric_learning import losses
from torch import Tensor

from glocal.learn.contracts import Objective


class Contrastive(Objective):
    """All pairs of a batch (Hadsell, Chopra and LeCun, 2006).

    Pairs of one label pay their distance, others what they lack of the margin; each kind is
    averaged over the pairs that pay. Distances are not squared, unlike the paper's: with unit
    vectors, squaring makes the last step together nearly free.

    Args:
        margin: of the distance between unit vectors, which is at most 2. 0.7 is Radenović, Tolias
            and Chum's for retrieval.
    """

    def __init__(self, *, margin: float = 0.7) -> None:
        super().__init__()
        self.loss = losses.ContrastiveLoss(pos_margin=0, neg_margin=margin)

    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The mean losses over pairs of vectors ``(b, d)`` with labels ``(b,)``."""
        loss: Tensor = self.loss(vectors, labels)
        return loss
