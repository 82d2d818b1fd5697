"""DELF: attention-scored keypoints with descriptors, and their weighted mean as the vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Head, Level, Output
from glocal.learn.heads.attentive import Attentive
from glocal.learn.heads.whitening import Whitening


class Delf(Head):
    """Attentive deep local features (Noh et al., 2017), descriptors as in Cao et al., 2020.

    The vector is the attention-weighted mean of the unit features of the feature map before the
    coarsest, whitened. The backbone does not learn from it: DELF trains attention on fixed
    features. Attention learns only from its own loss, the whitening from the objective on the
    vector: an objective that also spreads vectors would draw attention to accidental differences.

    Args:
        levels: levels of the backbone's feature maps; the last but one is used, or the only one.
        dim: length of the vector.
        local_dim: length of the descriptors.
        count: number of local features kept per image.
        classes: number of labels; 0 trains the attention within batches instead.
    """

    learns_classes: ClassVar[bool] = True

    def __init__(
        self,
        levels: Sequence[Level],
        *,
        dim: int = 512,
        local_dim: int = 64,
        count: int = 128,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.dim = dim
        level = local_level(levels)
        self.attentive = Attentive(level, dim=local_dim, count=count, classes=classes)
        self.whitening = Whitening(level.width, dim)

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """Attend to the feature map before the coarsest."""
        feature_map = maps[-2] if len(maps) > 1 else maps[-1]
        attended = self.attentive(feature_map)
        features = functional.normalize(feature_map.detach().float(), dim=1)
        weighted = (features * attended.attention.detach()[:, None]).mean(dim=(2, 3))
        vector = self.whitening(functional.normalize(weighted, dim=-1))
        return Output(vector, attended.local, attended.attention, attended.kept())

    def loss(self, output: Output, labels: Tensor) -> Tensor:
        """The autoencoder's error and the attention's own loss."""
        return self.attentive.loss(output, labels)


def local_level(levels: Sequence[Level]) -> Level:
    """The level of local features: the one before the coarsest, as in both papers.

    Raises:
        LearnError: there are no levels.
    """
    if not levels:
        raise LearnError(
            "a backbone without feature maps has no local features; use one with at least one level"
        )
    return levels[-2] if len(levels) > 1 else levels[-1]
