"""Heads whose vector in training is a projection of the vector in use."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Head, Level, Output
from glocal.learn.heads.gem import generalised_mean


class Projected(Head):
    """The base: the objective sees ``project(features)``, a gallery ``features``.

    Args:
        levels: levels of the backbone's feature maps; the last is pooled.
        dim: length of both vectors.
    """

    def __init__(self, levels: Sequence[Level], *, dim: int = 512) -> None:
        super().__init__()
        self.dim = dim
        self.encode = nn.Linear(levels[-1].width, dim)

    @abstractmethod
    def project(self, features: Tensor) -> Tensor:
        """Project ``(b, dim)`` to ``(b, dim)``, the vector that the objective sees."""

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """The projected vector in training, the features themselves afterwards."""
        features = self.features(maps)
        seen = self.project(features).float() if self.training else features
        return Output(functional.normalize(seen, dim=-1))

    def features(self, maps: Sequence[Tensor]) -> Tensor:
        """The features before the projection, ``(b, dim)``, not of unit length."""
        pooled = functional.normalize(generalised_mean(maps[-1].float(), 3.0), dim=-1)
        found: Tensor = self.encode(pooled).float()
        return found


class ProjectionHead(Projected):
    """A projection head of two layers, thrown away after training (Chen et al., 2020).

    Args:
        levels: levels of the backbone's feature maps; the last is pooled.
        dim: length of both vectors.
    """

    def __init__(self, levels: Sequence[Level], *, dim: int = 512) -> None:
        super().__init__(levels, dim=dim)
        self.layers = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))

    def project(self, features: Tensor) -> Tensor:
        """Project by two layers."""
        found: Tensor = self.layers(features)
        return found


class FixedReweighting(Projected):
    """The alternative to a projection head that has nothing to learn (Xue et al., 2024).

    A trained projection weighs features unequally; this one does so by construction: feature ``i``
    is multiplied by ``decay^i``, with ``i`` from 0. The encoder may then keep all features at even
    weight, although the objective wants few.

    Deviations: the weights of the paper were not at hand; that they fall geometrically is a choice.
    In the paper features are those of the encoder; here they are a linear layer's, so that the
    vector can have any length.

    Args:
        levels: levels of the backbone's feature maps; the last is pooled.
        dim: length of both vectors.
        decay: weight of a feature in parts of the one before, at most 1, which is no projection.

    Raises:
        LearnError: ``decay`` is not in (0, 1].
    """

    weights: Tensor

    def __init__(self, levels: Sequence[Level], *, dim: int = 512, decay: float = 0.95) -> None:
        super().__init__(levels, dim=dim)
        if not 0 < decay <= 1:
            raise LearnError(f"decay has to be more than 0 and at most 1, not {decay}")
        self.register_buffer("weights", decay ** torch.arange(dim, dtype=torch.float32))

    def project(self, features: Tensor) -> Tensor:
        """Multiply by the fixed weights."""
        return features * self.weights
