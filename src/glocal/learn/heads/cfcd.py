"""CFCD: a plain vector that is trained with matched local features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Head, Level, Output
from glocal.learn.heads.gem import generalised_mean
from glocal.learn.objectives.instance import share_content


class Cfcd(Head):
    """Coarse-to-fine compact discriminative representation (Zhu et al., 2023).

    The vector is GeM of the coarsest feature map, a linear layer and batch normalisation; nothing
    else runs after training. The training is special: it uses
    `glocal.learn.objectives.adaptive.AdaptiveSoftmax` from the start, and in its second, fine stage
    also triplets of local descriptors, which are the cells of the same feature map. Their gradient
    teaches the feature map fine distinctions.

    For an anchor and another image of its label, two cells match if they are mutual nearest
    neighbours, pass the ratio test, and the other image's cell is prominent: in the upper half of
    that image by attention, the sum of the absolute activations. Hard negatives are the images of
    other labels whose vectors are most similar to the anchor's; in each of them, the cell nearest
    to the anchor's cell is pushed away.

    The authors draw such tuples from all the training data, with one positive and six negatives
    per anchor, and a second run of training for the fine stage. Here they are drawn within the
    batch: each image with a partner is an anchor once (its partner is the next of its label), and
    the fine stage is the second half of one run. As in the paper, costs are summed over the matches
    and negatives of a tuple; here they are then averaged over anchors.

    The authors train at 512 pixels, where the coarsest map has 16x16 cells. At 224 it has 7x7, on
    which most anchors match no cell and the fine stage teaches nothing: set ``finer`` there, to
    take the cells of the map before. They then teach the backbone up to that map.

    Args:
        levels: levels of the backbone's feature maps; the last is used.
        dim: length of the vector.
        power: power of GeM.
        ratio: threshold of the ratio test: nearest distance to second nearest, at most.
        margin: margin between squared distances of unit descriptors.
        negatives: number of hard negatives per anchor.
        weight: weight of the fine stage in the loss.
        coarse: part of the training before the fine stage, in [0, 1].
        finer: whether local descriptors are the cells of the map before the coarsest.

    Raises:
        LearnError: ``finer`` with a backbone that has one map.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        *,
        dim: int = 512,
        power: float = 3.0,
        ratio: float = 0.9,
        margin: float = 0.1,
        negatives: int = 6,
        weight: float = 0.05,
        coarse: float = 0.5,
        finer: bool = False,
    ) -> None:
        super().__init__()
        if finer and len(levels) < 2:
            raise LearnError("finer cells need a backbone with two or more feature maps")
        self.finer = finer
        self.dim, self.power = dim, power
        self.ratio, self.margin, self.negatives = ratio, margin, negatives
        self.weight, self.coarse = weight, coarse
        self.fine = coarse <= 0
        self.reduce = nn.Linear(levels[-1].width, dim)
        self.norm = nn.BatchNorm1d(dim)

    def progress(self, done: float) -> None:
        """Start the fine stage when the coarse stage is over."""
        self.fine = done >= self.coarse

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """Pool the coarsest feature map."""
        feature_map = maps[-1].float()
        vector = self.norm(self.reduce(generalised_mean(feature_map, self.power)))
        attention = feature_map.abs().sum(dim=1)
        kept = {}
        if self.training:
            cells = maps[-2].float() if self.finer else feature_map
            kept = {"map": cells, "attention": cells.abs().sum(dim=1)}
        return Output(functional.normalize(vector.float(), dim=-1), attention=attention, kept=kept)

    def loss(self, output: Output, labels: Tensor) -> Tensor:
        """Triplets of local descriptors, in the fine stage of the training."""
        if not self.fine:
            return output.vector.new_zeros(())
        cells = functional.normalize(output.kept["map"].flatten(2), dim=1).transpose(1, 2)
        attention = output.kept["attention"].detach().flatten(1)
        tuples = hard_tuples(output.vector.detach(), labels, self.negatives)
        costs = [
            self._cost(cells[anchor], cells[positive], attention[positive], cells[negatives])
            for anchor, positive, negatives in tuples
        ]
        return self.weight * torch.stack(costs).mean() if costs else cells.sum() * 0

    def _cost(self, anchor: Tensor, positive: Tensor, attention: Tensor, others: Tensor) -> Tensor:
        with torch.no_grad():
            ours, theirs = match_cells(anchor, positive, attention, self.ratio)
            likeness = torch.einsum("md,knd->mkn", anchor[ours], others)
            nearest = likeness.argmax(dim=2)
        a, p = anchor[ours], positive[theirs]
        n = torch.stack([other[nearest[:, k]] for k, other in enumerate(others)], dim=1)
        near = (a - p).square().sum(dim=1)[:, None]
        far = (a[:, None] - n).square().sum(dim=2)
        return (near - far + self.margin).clamp(min=0).sum()


def hard_tuples(vectors: Tensor, labels: Tensor, negatives: int) -> list[tuple[int, int, Tensor]]:
    """Choose a positive and the hardest negatives for each anchor of a batch.

    Args:
        vectors: ``(b, d)``, unit rows.
        labels: ``(b,)``, or ``(b, 2)`` for mixed views, where partners share a label.
        negatives: largest number of negatives per anchor.

    Returns:
        For each anchor that has a partner and a negative, positions in the batch: the anchor's, the
        partner's (the next image of its label, cyclically), and the negatives', hardest first.
    """
    related = share_content(labels)
    likeness = (vectors @ vectors.T).masked_fill(related, -torch.inf)
    found = []
    for anchor in range(len(labels)):
        same = related[anchor].nonzero()[:, 0]
        others = len(labels) - len(same)
        if len(same) < 2 or not others:
            continue
        after = same[same > anchor]
        partner = int(after[0] if len(after) else same[0])
        hardest = likeness[anchor].topk(min(negatives, others)).indices
        found.append((anchor, partner, hardest))
    return found


def match_cells(
    anchor: Tensor, positive: Tensor, attention: Tensor, ratio: float
) -> tuple[Tensor, Tensor]:
    """Cells of two images that match and are prominent in the second.

    Args:
        anchor: ``(n, d)``, unit rows.
        positive: ``(m, d)``, unit rows.
        attention: ``(m,)``, attention of the second image's cells.
        ratio: threshold of the ratio test: nearest distance to second nearest, at most.

    Returns:
        Indices of the matching cells in the first and in the second image, of equal length.
    """
    distances = (2 - 2 * anchor @ positive.T).clamp(min=0).sqrt()
    nearest = distances.argmin(dim=0)
    places = torch.arange(len(positive), device=positive.device)
    mutual = distances.argmin(dim=1)[nearest] == places
    two = distances.topk(min(2, len(anchor)), dim=0, largest=False).values
    clear = two[0] <= ratio * two[-1] if len(anchor) > 1 else torch.ones_like(mutual)
    prominent = torch.zeros_like(mutual)
    prominent[attention.topk(max(1, len(attention) // 2)).indices] = True
    theirs = places[mutual & clear & prominent]
    return nearest[theirs], theirs
