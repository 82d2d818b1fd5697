"""CFCD: a plain vector that learns from matched local features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.contracts import Head, Level, Output
from glocal.learn.heads.gem import generalised_mean
from glocal.learn.objectives.instance import share_content


class Cfcd(Head):
    """Coarse-to-fine compact discriminative representation (Zhu et al., 2023).

    The vector is GeM of the coarsest map, a linear layer and batch normalisation; there is no more
    to run than that. What is special is how it is trained: with
    `glocal.learn.objectives.adaptive.AdaptiveSoftmax` from the start, and in the second, fine part
    of the training also with triplets of local descriptors, the cells of the same map, whose
    gradient puts fine distinctions into the map that the vector is pooled from.

    For an anchor and another image of its label, cells match when each is the other's nearest,
    the nearest is clearly nearer than the next (ratio), and the other image's cell is prominent:
    in the upper half of that image by attention, the sum of the activations. Hard negatives are
    the images of other labels whose vectors are most like the anchor's; of each, the cell nearest
    to the anchor's is to be pushed away.

    The authors draw such tuples from all the training data, one positive and six negatives to an
    anchor, with a second run of training for the fine part. Here they are drawn within the batch,
    each image with a partner being an anchor once (its partner is the next of its label), and the
    fine part is the second half of one run. As there, costs are summed over a tuple's matches and
    negatives; here, then averaged over anchors.

    Args:
        levels: of the backbone's maps; the last is used.
        dim: length of the vector.
        power: of GeM.
        ratio: that the nearest distance may have of the next one.
        margin: between squared distances of unit descriptors.
        negatives: hard ones to an anchor.
        weight: of the fine part in the loss.
        coarse: part of the training that goes without it.
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
    ) -> None:
        super().__init__()
        self.dim, self.power = dim, power
        self.ratio, self.margin, self.negatives = ratio, margin, negatives
        self.weight, self.coarse = weight, coarse
        self.fine = coarse <= 0
        self.reduce = nn.Linear(levels[-1].width, dim)
        self.norm = nn.BatchNorm1d(dim)

    def progress(self, done: float) -> None:
        """Turn the fine part on when the coarse part is over."""
        self.fine = done >= self.coarse

    def forward(self, maps: Sequence[Tensor]) -> Output:
        """Pool the coarsest of the maps."""
        feature_map = maps[-1].float()
        vector = self.norm(self.reduce(generalised_mean(feature_map, self.power)))
        attention = feature_map.abs().sum(dim=1)
        kept = {"map": feature_map, "attention": attention} if self.training else {}
        return Output(functional.normalize(vector.float(), dim=-1), attention=attention, kept=kept)

    def loss(self, output: Output, labels: Tensor) -> Tensor:
        """Triplets of local descriptors, in the fine part of the training."""
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
    """Anchors with an image of the same label and the hardest of other labels.

    Args:
        vectors: ``(b, d)``, unit rows.
        labels: ``(b,)``, or ``(b, 2)`` for mixed views; then a partner shares a label.
        negatives: at most so many to an anchor.

    Returns:
        For each anchor that has a partner and a negative: its place, the partner's (the next of
        its label, and the first after the last), and the negatives' places, hardest first.
    """
    related = share_content(labels)
    likeness = (vectors @ vectors.T).masked_fill(related, -torch.inf)
    found = []
    for anchor in range(len(labels)):
        same = related[anchor].nonzero()[:, 0]
        strangers = len(labels) - len(same)
        if len(same) < 2 or not strangers:
            continue
        after = same[same > anchor]
        partner = int(after[0] if len(after) else same[0])
        hardest = likeness[anchor].topk(min(negatives, strangers)).indices
        found.append((anchor, partner, hardest))
    return found


def match_cells(
    anchor: Tensor, positive: Tensor, attention: Tensor, ratio: float
) -> tuple[Tensor, Tensor]:
    """Cells of two images that match and are prominent in the second.

    Args:
        anchor: ``(n, d)``, unit rows.
        positive: ``(m, d)``, unit rows.
        attention: ``(m,)`` of the second image.
        ratio: that a distance may have of the distance to the next nearest cell of the anchor.

    Returns:
        Places in the first and in the second image, alike in number.
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
