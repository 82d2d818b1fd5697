"""Attentive local features: attention picks cells, an autoencoder makes them compact."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Level, Local, Output
from glocal.learn.heads.strongest import pick_strongest
from glocal.learn.objectives.instance import InstanceDiscrimination


@dataclass(frozen=True, slots=True)
class Attended:
    """Output of the attention for a feature map.

    Attributes:
        local: the cells with the highest attention.
        attention: ``(b, h, w)``, at least 0.
        rebuilt: ``(b, c)``, attention-weighted mean of the decoded features.
        error: scalar, squared error of the decoder relative to the squared feature map.
    """

    local: Local
    attention: Tensor
    rebuilt: Tensor
    error: Tensor

    def kept(self) -> dict[str, Tensor]:
        """The tensors that `Attentive.loss` needs, for `Output.kept`."""
        return {"rebuilt": self.rebuilt, "error": self.error}


class Attentive(nn.Module):
    """Attention over cells and an autoencoder of their features.

    Attention comes from two 1x1 convolutions and a softplus and is trained with the labels of whole
    images: the attention-weighted mean of the features has to tell them apart (Noh et al., 2017).
    The autoencoder is one linear layer to a few dimensions and one back (Cao, Araujo and Sim,
    2020). Neither sends a gradient into the backbone.

    Attention scores the given features and sums the decoded ones; the authors' later code scores
    the decoded and sums the given. The papers leave some choices open: here the error of the
    autoencoder is relative to the squared feature map, so that its weight does not depend on the
    backbone; the decoder ends without a rectifier, because a feature map taken before an activation
    has negative values; and without classes, images of the same label within a batch have to find
    each other, as in `InstanceDiscrimination`, instead of a classifier.

    Args:
        level: level of the feature map.
        dim: length of the descriptors.
        count: number of local features kept per image.
        hidden: width between the two convolutions of the attention.
        classes: number of labels, for a classifier as in the papers; 0 for none.
        rebuild_weight: weight of the autoencoder's error in the loss.
        attention_weight: weight of the label term in the loss.
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
        """Attend to a feature map ``(b, c, h, w)``."""
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
        """The weighted sum of the autoencoder's error and the label term."""
        rebuilt = output.kept["rebuilt"]
        if self.classify is not None:
            told: Tensor = functional.cross_entropy(self.classify(rebuilt).float(), labels)
        else:
            told = self.contrast(functional.normalize(rebuilt, dim=-1), labels)
        return self.rebuild_weight * output.kept["error"] + self.attention_weight * told
