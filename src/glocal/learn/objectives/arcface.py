"""ArcFace: a margin in angle between a class and all others."""

from __future__ import annotations

import math
from typing import ClassVar

from pytorch_metric_learning import losses
from torch import Tensor

from glocal.learn.contracts import Objective


class ArcFace(Objective):
    """Additive angular margin (Deng et al., 2019).

    Args:
        dim: length of the vectors.
        classes: number of labels.
        margin: margin added to the angle to the correct class, in radians. The paper uses 0.5 for
            faces; Yang et al., 2021, use 0.15, the default, for landmarks.
        scale: scale of the cosines; 64 for faces, 30 for landmarks.
    """

    learns_classes: ClassVar[bool] = True

    def __init__(
        self, *, dim: int, classes: int, margin: float = 0.15, scale: float = 30.0
    ) -> None:
        super().__init__()
        self.classes = classes
        self.loss = losses.ArcFaceLoss(classes, dim, margin=math.degrees(margin), scale=scale)

    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of vectors ``(b, d)`` with labels ``(b,)``."""
        loss: Tensor = self.loss(vectors, labels)
        return loss
