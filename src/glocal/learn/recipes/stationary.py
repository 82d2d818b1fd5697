"""d-Simplex stationary representations: a fixed simplex, and a contrastive tie to the old model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from glocal.learn.learning import Learning
from glocal.learn.model import Model
from glocal.learn.recipes.compatible import Compatible


class Stationary(Compatible):
    """Fixed simplex with higher-order compatibility (Biondi, Pernici, Ricci and Del Bimbo, 2024).

    A model is compatible with an old one if, for all images ``i`` and ``j``,

        d(phi_new(x_i), phi_old(x_j)) <= d(phi_old(x_i), phi_old(x_j))  where y_i  = y_j,
        d(phi_new(x_i), phi_old(x_j)) >= d(phi_old(x_i), phi_old(x_j))  where y_i != y_j.

    Classes at the fixed vertices of a d-simplex (`FixedPolytope`, ``--objective cores``) meet both
    as well as can be in expectation, in a fine-tuning and also with a model trained elsewhere, if
    it has the same simplex. Cross-entropy aligns only the means of classes; when a model is
    fine-tuned, a contrastive loss between both models' vectors ``h`` of a batch aligns the rest::

        L = lambda L_CE + (1 - lambda) L_C,
        L_C = mean_i -log( exp(mu h_i . h_i^old)
                           / (exp(mu h_i . h_i^old) + sum_{k: y_k != y_i} exp(mu h_i . h_k^old)) )

    Deviations: ``lambda`` is .5 unless it is set, the authors' program has .1; that program has in
        the sum a term ``exp(0)`` for each image of the same class instead of the positive pair;
        views without labels have the contrastive loss only beside their own, with all other images
        as negatives.

    Args:
        share: ``lambda``, share of cross-entropy, less than 1.
        sharpness: ``mu``.
    """

    def __init__(
        self, model: Model, *, share: float = 0.5, sharpness: float = 10.0, **given: Any
    ) -> None:
        super().__init__(model, **given)
        self.share, self.sharpness = share, sharpness

    def ties(
        self, learning: Learning, old: Tensor, new: Tensor, labels: Tensor | None
    ) -> dict[str, Tensor]:
        """The contrastive loss, weighted."""
        del learning
        if labels is None:
            labels = torch.arange(len(new), device=new.device)
        return {"loss old": (1 - self.share) * contrast(new, old, labels, self.sharpness)}

    def losses(self, *given: Any) -> dict[str, Tensor]:
        """The terms of the loss of a batch."""
        found = super().losses(*given)
        if "loss labels" in found:
            found["loss labels"] = self.share * found["loss labels"]
        return found


def contrast(new: Tensor, old: Tensor, labels: Tensor, sharpness: float) -> Tensor:
    """The contrastive loss ``L_C`` of unit rows ``(n, d)`` of both models, with labels ``(n,)``."""
    alike = sharpness * new @ old.T
    itself = torch.eye(len(new), dtype=torch.bool, device=new.device)
    same = (labels[:, None] == labels[None, :]) & ~itself
    return (alike.masked_fill(same, -torch.inf).logsumexp(dim=1) - alike.diagonal()).mean()
