"""DELG: a global vector and attentive local features from one network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from glocal.learn.contracts import Head, Level, Output
from glocal.learn.heads.attentive import Attentive
from glocal.learn.heads.delf import local_level
from glocal.learn.heads.gem import Gem


class Delg(Head):
    """Whitened GeM of the coarsest feature map and attentive local features (Cao et al., 2020).

    The objective on the vector trains the backbone; the local features send no gradient into it,
    which the paper found necessary.

    Args:
        levels: levels of the backbone's feature maps.
        dim: length of the vector.
        local_dim: length of the descriptors.
        count: number of local features kept per image.
        classes: number of labels; 0 trains the attention within batches instead.
        power: power of GeM; the paper keeps it at 3.
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
        power: float = 3.0,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.whole = Gem(levels, dim=dim, power=power, learn_power=False)
        self.attentive = Attentive(local_level(levels), dim=local_dim, count=count, classes=classes)

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """Pool the coarsest feature map, and attend to the one before."""
        attended = self.attentive(maps[-2] if len(maps) > 1 else maps[-1])
        vector = self.whole(maps).vector
        return Output(vector, attended.local, attended.attention, attended.kept())

    def loss(self, output: Output, labels: Tensor) -> Tensor:
        """The autoencoder's error and the attention's own loss."""
        return self.attentive.loss(output, labels)
