"""Proxy-Anchor: the proxy of each class pulls its images and pushes others, hard ones most."""

from __future__ import annotations

from typing import ClassVar

from pytorch_metric_learning import losses
from torch import Tensor

from glocal.learn.contracts import Objective


class ProxyAnchor(Objective):
    """Proxy Anchor loss (Kim et al., 2020).

    Args:
        dim: length of the vectors.
        classes: number of labels.
        margin: margin of the cosine.
        scale: the paper's alpha: the larger, the more weight hard images get.
    """

    learns_classes: ClassVar[bool] = True

    def __init__(self, *, dim: int, classes: int, margin: float = 0.1, scale: float = 32.0) -> None:
        super().__init__()
        self.classes = classes
        self.loss = losses.ProxyAnchorLoss(classes, dim, margin=margin, alpha=scale)

    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of vectors ``(b, d)`` with labels ``(b,)``."""
        loss: Tensor = self.loss(vectors, labels)
        return loss
