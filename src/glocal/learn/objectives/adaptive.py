"""CFCD's softmax: scale and margin adapt to how well classes are separated in the batch."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Objective

_SURE = 1 - 1e-7  # probability that an image with cosine 1 should reach


class AdaptiveSoftmax(Objective):
    """Softmax over cosines with scale and margin computed for every batch (Zhu et al., 2023).

    With cosine ``c`` to the correct class, scale ``s``, margin ``m`` and ``B`` the sum of
    ``exp(s c')`` over other classes, an image has the probability

        P = exp(s (c - m)) / (exp(s (c - m)) + B).

    Take the image of the batch whose ``c`` is the median ``M``. Two conditions determine both
    numbers: this image has the probability ``median_probability`` a, and an image with ``c = 1``
    and the same ``B`` has the probability ``1 - 1e-7``:

        m = M - log(B a / (1 - a)) / s
        s = log((1 - 1e-7) / 1e-7 (1 - a) / a) / (1 - M)

    As ``M`` grows in training, so do both, and the median image stays difficult. No gradient
    flows through them. The scale is at least 32 and the margin at least 0, as in the authors' code;
    for an even number of images, the median is the lower of the two middle values. Evaluation
    has no margin.

    Args:
        dim: length of the vectors.
        classes: number of labels.
        median_probability: probability of the median image; the authors use 0.02 for landmarks.
        least_scale: smallest scale.
        most_scale: largest scale. The authors have none, but with few classes and images the
            median comes so close to 1 that the loss would be mostly noise.
    """

    learns_classes: ClassVar[bool] = True

    def __init__(
        self,
        *,
        dim: int,
        classes: int,
        median_probability: float = 0.02,
        least_scale: float = 32.0,
        most_scale: float = 512.0,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.least_scale, self.most_scale = least_scale, most_scale
        self.odds = median_probability / (1 - median_probability)
        self.weight = nn.Parameter(torch.empty(classes, dim))
        nn.init.xavier_uniform_(self.weight)

    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of vectors ``(b, d)`` with labels ``(b,)``."""
        weight = functional.normalize(self.weight.float(), dim=-1)
        cosines = functional.normalize(vectors, dim=-1) @ weight.T
        scale, margin = self.scale_and_margin(cosines.detach(), labels)
        if not self.training:
            margin = torch.zeros_like(margin)
        own = functional.one_hot(labels, self.classes)
        return functional.cross_entropy(scale * (cosines - margin * own), labels)

    def scale_and_margin(self, cosines: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute scale and margin for a batch, as scalars.

        Args:
            cosines: ``(b, classes)``.
            labels: ``(b,)``.
        """
        own = cosines.gather(1, labels[:, None])[:, 0]
        median, place = own.median(dim=0)
        sure = math.log(_SURE / (1 - _SURE) / self.odds)
        scale = (sure / (1 - median).clamp(min=1e-6)).clamp(self.least_scale, self.most_scale)
        others = scale * cosines[place]
        others = others.masked_fill(
            functional.one_hot(labels[place], self.classes).bool(), -torch.inf
        )
        margin = median - (torch.logsumexp(others, dim=0) + math.log(self.odds)) / scale
        return scale, margin.clamp(min=0)
