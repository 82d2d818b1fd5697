"""CoReS: classes are vertices of a fixed polytope, so that vectors keep their place in upgrades."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Objective
from glocal.learn.polytopes import Polytope, vertex_count, vertices


class FixedPolytope(Objective):
    """Softmax over all vertices of a fixed polytope (Biondi, Pernici, Bruni and Del Bimbo, 2023).

    Class ``i`` has the vertex ``w_i`` of a regular polytope of ``d`` dimensions for ever, and the
    ``K_u`` vertices that no class has yet are kept for classes to come. They are there from the
    first training, as negatives of all images::

        L = -log( exp(w_y^T phi(x)) / (sum_{i=1..K_s} exp(w_i^T phi(x))
                                       + sum_{i=K_s+1..K_s+K_u} exp(w_i^T phi(x))) )

    ``K_s`` classes are known, and ``K = K_s + K_u = d + 1`` for the d-simplex, which has all pairs
    of classes equally far apart. Nothing moves when classes are added: every model that is trained
    with it puts class ``i`` at ``w_i``, and its vectors are compared with those of the models
    before without any mapping and without training against them. Class ``i`` has to stay class
    ``i``: ``glocal train --compatible-with`` continues the order that the old model's card has.

    Deviations: ``w^T phi`` is a cosine times `scale`, since glocal's vectors have unit length; the
        paper's features have a length of their own. Of the d-cube, whose vertices are ``2^d``,
        those of the first classes and `spare` others are used.

    Args:
        dim: ``d``, length of the vectors.
        classes: number of labels.
        polytope: ``simplex``, ``orthoplex`` or ``cube``.
        scale: what cosines are multiplied by.
        spare: largest number of vertices without a class that count.

    Raises:
        LearnError: the polytope has fewer vertices than there are classes.
    """

    learns_classes: ClassVar[bool] = True
    weights: Tensor

    def __init__(
        self,
        *,
        dim: int,
        classes: int,
        polytope: Polytope = "simplex",
        scale: float = 10.0,
        spare: int = 4096,
    ) -> None:
        super().__init__()
        total = vertex_count(polytope, dim)
        if classes > total:
            raise LearnError(
                f"the {polytope} of {dim} dimensions has {total} vertices, too few for {classes} "
                "classes; use a larger --dim, or --set objective.polytope=orthoplex"
            )
        self.classes, self.scale = classes, scale
        # They follow from the arguments, so that a checkpoint need not have them.
        count = min(total, classes + spare)
        self.register_buffer("weights", vertices(polytope, dim, count), persistent=False)

    def logits(self, vectors: Tensor) -> Tensor:
        """Scaled cosines ``(b, K)`` of vectors ``(b, d)`` with all vertices."""
        return self.scale * functional.linear(functional.normalize(vectors, dim=1), self.weights)

    def score(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """The mean loss of vectors ``(b, d)`` with labels ``(b,)``."""
        return functional.cross_entropy(self.logits(vectors), labels)
