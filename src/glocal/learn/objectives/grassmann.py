"""GCR: classes are subspaces, and an image's score is its projection's length."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Objective


class Grassmann(Objective):
    """Softmax over projections to class subspaces (Wang et al., 2023).

    Class ``i`` is a subspace with an orthonormal basis ``S_i`` of ``k`` vectors, a point of a
    Grassmann manifold. Its logit is ``gamma |S_i^T x|`` for an image's unit vector ``x``: the
    length of the projection. With ``k = 1`` and the sign dropped, that is softmax over cosines.

    Subspaces are learned by Riemannian updates: the gradient is projected to the tangent space,
    ``(I - S S^T) G``, and what an optimizer's step makes of a basis is retracted to the manifold by
    a QR decomposition before it is used again.

    Deviations: the retraction takes the place of the paper's step along the geodesic; it agrees
        with it to first order and works with any optimizer.

    Args:
        dim: length of the vectors.
        classes: number of labels.
        rank: dimension ``k`` of the subspaces, less than `dim`.
        scale: ``gamma``.

    Raises:
        LearnError: the rank does not fit.
    """

    learns_classes: ClassVar[bool] = True

    def __init__(self, *, dim: int, classes: int, rank: int = 2, scale: float = 16.0) -> None:
        super().__init__()
        if not 1 <= rank < dim:
            raise LearnError(f"subspaces of {dim} dimensions have a rank from 1, not {rank}")
        self.classes, self.scale = classes, scale
        self.bases = nn.Parameter(torch.linalg.qr(torch.randn(classes, dim, rank)).Q)
        self.bases.register_hook(self._to_tangent)

    def logits(self, vectors: Tensor) -> Tensor:
        """Scaled lengths of the projections, ``(b, classes)``, of vectors ``(b, d)``."""
        self.retract()
        unit = functional.normalize(vectors, dim=-1)
        projected = torch.einsum("bd,cdk->bck", unit, self.bases.float())
        return self.scale * torch.linalg.vector_norm(projected + 1e-12, dim=2)  # type: ignore[no-any-return]

    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of vectors ``(b, d)`` with labels ``(b,)``."""
        return functional.cross_entropy(self.logits(vectors), labels)

    @torch.no_grad()
    def retract(self) -> None:
        """Make the bases orthonormal again, in place."""
        found, upper = torch.linalg.qr(self.bases.float())
        # The signs are free: keep each vector's direction.
        signs = upper.diagonal(dim1=1, dim2=2).sign()
        self.bases.copy_(found * torch.where(signs == 0, 1.0, signs)[:, None])

    def _to_tangent(self, gradient: Tensor) -> Tensor:
        bases = self.bases.detach()
        return gradient - bases @ (bases.transpose(1, 2) @ gradient)
