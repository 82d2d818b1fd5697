"""Triplet loss: images of one label have to be nearer than images of others."""

from __future__ import annotations

from pytorch_metric_learning import distances, losses, reducers
from torch import Tensor

from glocal.learn.contracts import Objective


class Triplet(Objective):
    """Triplet loss over every triplet of the batch that violates the margin (Schroff et al., 2015).

    Distances are squared distances between unit vectors, as in the paper. All violating triplets
    have equal weight: the paper's semi-hard mining needs batches of thousands to find enough.

    Args:
        margin: margin between squared distances.
    """

    def __init__(self, *, margin: float = 0.2) -> None:
        super().__init__()
        self.loss = losses.TripletMarginLoss(
            margin=margin,
            distance=distances.LpDistance(power=2),
            reducer=reducers.AvgNonZeroReducer(),
        )

    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The mean loss over violating triplets of vectors ``(b, d)`` with labels ``(b,)``."""
        loss: Tensor = self.loss(vectors, labels)
        return loss
