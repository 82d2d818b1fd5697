"""Attentive local features: which cells of a map are worth keeping, and in few numbers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Level, Local, Output
from glocal.learn.heads.strongest import pick_strongest
from glocal.learn.objectives.instance import InstanceDiscrimination


@dataclass(frozen=True, slots=True)
class Attended:
    """What the attention made of a map.

    Attributes:
        local: the strongest cells.
        attention: ``(b, h, w)``, at least 0.
        rebuilt: ``(b, c)``, the mean of what the decoder makes of each cell, weighted.
        error: scalar, the decoder's squared error relative to the map's own square.
    """

    local: Local
    attention: Tensor
    rebuilt: Tensor
    error: Tensor

    def kept(self) -> dict[str, Tensor]:
        """What `Attentive.loss` needs, for `Output.kept`."""
        return {"rebuilt": self.rebuilt, "error": self.error}


class Attentive(nn.Module):
    """Attention over cells and an autoencoder of their features.

    Attention comes from two 1x1 convolutions and a softplus and is trained by the labels of whole
    images: the mean of the features it weights has to tell them apart (Noh et al., 2017). The
    autoencoder is one linear layer to few numbers and one back (Cao, Araujo and Sim, 2020). Neither
    sends a gradient into the backbone.

    Attention scores the given features and sums the rebuilt ones; the authors' later code scores
    the rebuilt and sums the given. Where the papers leave room: the error of the autoencoder is
    relative to the square of the map, so that its weight does not depend on the trunk; the decoder
    ends without a rectifier, because a map taken before an activation has negative values; without
    classes, images of the same label within a batch have to find each other, as in
    `InstanceDiscrimination`, instead of a classifier.

    Args:
        level: of the map.
        dim: length of the descriptors.
        count: of local features an image keeps.
        hidden: width between the two convolutions of the attention.
        classes: of the labels, for a classifier as in the papers; 0 for none.
        rebuild_weight: of the autoencoder's error in the loss.
        attention_weight: of the labels' part.
    """

    def __init__(
        self,
        level: Level,
        *,
        dim: int = 64,
        count: int = 128,
        hidden: int = 256,
        classes: int = 0,
        rebuild_weight: float = 10.0,
        attention_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.level, self.count = level, count
        self.rebuild_weight, self.attention_weight = rebuild_weight, attention_weight
        self.score = nn.Sequential(
            nn.Conv2d(level.width, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, 1, 1)
        )
        self.encode = nn.Conv2d(level.width, dim, 1)
        self.decode = nn.Conv2d(dim, level.width, 1)
        self.classify = nn.Linear(level.width, classes) if classes else None
        self.contrast = InstanceDiscrimination(entropy=0)

    def forward(self, feature_map: Tensor) -> Attended:
        """Attend to a map ``(b, c, h, w)``."""
        x = feature_map.detach()
        attention = functional.softplus(self.score(x).float())
        code = self.encode(x)
        rebuilt = self.decode(code).float()
        x = x.float()
        error = (rebuilt - x).square().mean() / x.square().mean().clamp(min=1e-12)
        weighted = (attention * functional.normalize(rebuilt, dim=1)).mean(dim=(2, 3))
        local, _ = pick_strongest(
            self.level, functional.normalize(code.float(), dim=1), attention[:, 0], self.count
        )
        return Attended(local, attention[:, 0], weighted, error)

    def loss(self, output: Output, labels: Tensor) -> Tensor:
        """The autoencoder's error and the labels' part, weighted."""
        rebuilt = output.kept["rebuilt"]
        if self.classify is not None:
            told: Tensor = functional.cross_entropy(self.classify(rebuilt).float(), labels)
        else:
            told = self.contrast(functional.normalize(rebuilt, dim=-1), labels)
        return self.rebuild_weight * output.kept["error"] + self.attention_weight * told
