"""Self-supervised instance discrimination, as in SSCD."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Objective


class InstanceDiscrimination(Objective):
    """Pull views of the same image together, and keep different images apart.

    Labels say which image a view was made from; a batch has two or more views of each. Following
    Pizzi et al. (2022), with unit vectors ``z``, ``P(i)`` the other views that
    share content with ``i`` and ``N(i)`` the views that share none:

        L_nce  = mean over i of  mean over j in P(i) of
                 -log(e^(z_i z_j / t) / (e^(z_i z_j / t) + sum over n in N(i) of e^(z_i z_n / t)))
        L_koleo = -mean over i of  log(min over n in N(i) of |z_i - z_n|)
        L = L_nce + entropy * L_koleo

    The second term (after Sablayrolles et al., Spreading vectors for similarity search, 2019) is
    the Kozachenko-Leonenko estimate of entropy: it makes distances comparable all over the space. A
    view mixed from several images has all their labels, and shares content with every view that
    has one of them. A view without a positive, or without a negative, is left out of the term that
    needs one, where the authors' code would divide by zero.

    The paper's entropy weight of 30 is for batches of thousands; in small batches neighbours are
    farther apart and a smaller weight is better.

    Args:
        temperature: temperature ``t`` above.
        entropy: weight of the second term.
    """

    def __init__(self, *, temperature: float = 0.05, entropy: float = 30.0) -> None:
        super().__init__()
        self.temperature, self.entropy = temperature, entropy

    def _check(self, vectors: Tensor, labels: Tensor) -> None:
        mixed = labels.ndim == 2 and len(labels) == len(vectors)
        super()._check(vectors, labels[:, 0] if mixed and labels.shape[1] else labels)

    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The loss of views.

        Args:
            vectors: ``(b, d)``.
            labels: ``(b,)`` int64, or ``(b, k)`` for mixed views, padded with negative numbers.
        """
        unit = functional.normalize(vectors, dim=-1)
        likeness = unit @ unit.T
        related = share_content(labels)
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        loss = contrast(likeness, related & ~itself, ~related, self.temperature)
        if self.entropy:
            loss = loss + self.entropy * spread(likeness, ~related)
        return loss


def share_content(labels: Tensor) -> Tensor:
    """Which views share content with which: ``(b, b)`` bool, true on the diagonal.

    Args:
        labels: ``(b,)``, or ``(b, k)`` padded with negative numbers.

    Raises:
        LearnError: a row has no label.
    """
    if labels.ndim == 1:
        return labels[:, None] == labels[None, :]
    if bool((labels < 0).all(dim=1).any()):
        raise LearnError("each mixed view needs at least one label of 0 or more")
    same = labels[:, None, :, None] == labels[None, :, None, :]
    real = (labels >= 0)[:, None, :, None]
    return (same & real).any(dim=(2, 3))


def contrast(likeness: Tensor, alike: Tensor, apart: Tensor, temperature: float) -> Tensor:
    """InfoNCE of each positive against the negatives only; zero without positives.

    Args:
        likeness: ``(b, b)`` dot products.
        alike: ``(b, b)`` bool, positive pairs.
        apart: ``(b, b)`` bool, negative pairs.
        temperature: divisor of the dot products.
    """
    logits = likeness / temperature
    # The log-sum over negatives; infinity would give a row without any a gradient of nan.
    against = logits.masked_fill(~apart, -1e6).logsumexp(dim=1, keepdim=True)
    costs = functional.softplus(against - logits).masked_fill(~alike, 0)
    found = alike.sum(dim=1)
    rows = costs.sum(dim=1) / found.clamp(min=1)
    return rows.sum() / (found > 0).sum().clamp(min=1)


def spread(likeness: Tensor, apart: Tensor) -> Tensor:
    """The mean negative logarithm of the distance to the nearest negative.

    Args:
        likeness: ``(b, b)`` dot products of unit vectors.
        apart: ``(b, b)`` bool, negative pairs.
    """
    known = apart.any(dim=1)
    nearest = likeness.masked_fill(~apart, -1.0).amax(dim=1)
    # Squared distances are at least a millionth, so that the gradient stays finite.
    costs = -0.5 * (2 - 2 * nearest).clamp(min=1e-6).log()
    return costs.masked_fill(~known, 0).sum() / known.sum().clamp(min=1)
