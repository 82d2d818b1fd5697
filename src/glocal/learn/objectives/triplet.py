"""Triplets: nearer to one's own than to any other."""

from __future__ import annotations

from pytorch_metric_learning import distances, losses, reducers
from torch import Tensor

from glocal.learn.contracts import Objective


class Triplet(Objective):
    """Every triplet of the batch that violates the margin (Schroff et al., 2015).

    Distances are squared, between unit vectors, as in the paper. All violating triplets count
    alike: the paper's semi-hard choice needs batches of thousands to have enough of them.

    Args:
        margin: between squared distances.
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
