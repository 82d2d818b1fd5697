"""OCA: a longer vector, turned so that its first numbers are the old model's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import orthogonal

from glocal.errors import LearnError
from glocal.learn.heads.pooled import Pooled
from glocal.learn.learning import Learning
from glocal.learn.model import Model
from glocal.learn.recipes.compatible import Compatible


class Turned(nn.Module):
    """A linear layer followed by an orthogonal one: ``B (W x + b)``.

    It looks like a linear layer with the product as weight and bias.

    Args:
        linear: ``W`` and ``b``.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        width = linear.out_features
        self.turn = nn.Linear(width, width, bias=False)
        nn.init.eye_(self.turn.weight)
        orthogonal(self.turn, orthogonal_map="matrix_exp")
        self.in_features, self.out_features = linear.in_features, width

    @property
    def weight(self) -> Tensor:
        """``B W``."""
        return self.turn.weight @ self.linear.weight

    @property
    def bias(self) -> Tensor:
        """``B b``."""
        return self.turn.weight @ self.linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """Compute ``(..., out)`` from ``(..., in)``."""
        found: Tensor = self.turn(self.linear(x))
        return found

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One linear layer that computes the same."""
        single = nn.Linear(self.in_features, self.out_features)
        single.weight.copy_(self.weight)
        single.bias.copy_(self.bias)
        return single


class OrthogonalAlignment(Compatible):
    """Orthogonal compatible aligned (Ricci, Biondi, Pernici and Del Bimbo, 2024).

    The new representation ``h`` has ``n`` dimensions, more than the ``d`` of the old one, and an
    orthogonal layer ``B``, ``B^T B = I``, turns it. Its first ``d`` dimensions are aligned with the
    old model's, the others are free to take up what is new; a rotation changes no distance, so
    that ``B h`` is as good as ``h`` among new vectors::

        L = w_1 L_CE(h) + w_2 L_CE(mu P (B h)_{1..d}) + w_3 (1 - cos((B h)_{1..d}, p_y))

    ``P`` has as rows ``p_c`` the mean vectors that the old model gives the images of class ``c``,
    new classes too. The exported vector is ``B h``, with ``B`` merged into the projection.

    Deviations: ``P`` is the mean over the batches so far instead of a pass before the training;
        the class weights of ``L_CE`` see ``B h`` instead of ``h``, which is the same up to their
        own rotation; cosines to ``P`` are sharpened by ``mu``, the program's are not. Views without
        labels have the cosine to the old vector of the image itself.

    Args:
        influence: ``w_2``, in parts of ``w_1 = 1``.
        alignment: ``w_3``, likewise.
        sharpness: ``mu``.

    Raises:
        LearnError: the head has no projection, or there are no extra dimensions.
    """

    sums: Tensor
    counts: Tensor

    def __init__(
        self,
        model: Model,
        *,
        influence: float = 2.0,
        alignment: float = 1.0,
        sharpness: float = 20.0,
        **given: Any,
    ) -> None:
        super().__init__(model, **given)
        self.influence, self.alignment, self.sharpness = influence, alignment, sharpness
        head = model.head
        if not isinstance(head, Pooled) or head.whitening is None:
            raise LearnError(
                f"the recipe oca turns a projection, which the head {type(head).__name__} does not "
                "have; use a pooling head with a projection, such as gem"
            )
        if model.dim <= self.old.dim:
            raise LearnError(
                f"the recipe oca needs extra dimensions: use a --dim above the {self.old.dim} of "
                "the old model"
            )
        head.whitening.linear = Turned(head.whitening.linear)  # type: ignore[assignment]
        classes = self.objective.classes if self.objective is not None else 0
        self.register_buffer("sums", torch.zeros(classes, self.old.dim, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(classes, dtype=torch.float64))

    def ties(
        self, learning: Learning, old: Tensor, new: Tensor, labels: Tensor | None
    ) -> dict[str, Tensor]:
        """Classification by the old model's means, and alignment with them."""
        del learning
        if labels is None or not len(self.sums):
            return {"loss old": self.alignment * (1 - (new * old).sum(dim=1)).mean()}
        self.sums.index_add_(0, labels, old.double())
        self.counts.index_add_(0, labels, torch.ones_like(labels, dtype=torch.float64))
        means = functional.normalize(self.sums, dim=1).float()
        alike = self.sharpness * new @ means.T
        alike = alike.masked_fill(self.counts == 0, -torch.inf)
        apart = 1 - (new * means[labels]).sum(dim=1)
        return {
            "loss influence": self.influence * functional.cross_entropy(alike, labels),
            "loss old": self.alignment * apart.mean(),
        }

    def finish(self, model: Model) -> None:
        """Merge the orthogonal layer into the projection."""
        whitening = model.head.whitening
        if isinstance(whitening.linear, Turned):  # type: ignore[union-attr]
            whitening.linear = whitening.linear.merged()  # type: ignore[union-attr]
