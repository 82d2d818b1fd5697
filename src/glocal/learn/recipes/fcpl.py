"""FCPL: several descriptors, each trained to stay near the first one's vectors."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from glocal.learn.learning import Learning
from glocal.learn.model import Model
from glocal.learn.recipes.compatible import Compatible


class FeatureCompatible(Compatible):
    """Feature-compatible progressive learning (Wang, Sun and Yang, 2023).

    A first descriptor ``f_0`` is trained without ties. Every other ``f_k``, of another trunk, size
    or head, learns to tell images apart on its own while its vectors stay near the first one's::

        L_k = L_own(f_k) + w mean_x || f_k(x) / |f_k(x)| - f_0(x) / |f_0(x)| ||^2

    All are then near each other: a query of one finds what another has indexed, and the mean of
    several descriptors, at unit length, is a descriptor that all of them can be compared with.

    Deviations: the tie is taken on the images of the batch itself, altered as they are, and not on
        a second stream of other images; the three stages of the paper's progressive learning, which
        differ in their data, are three trainings here, each with ``--start``.

    Args:
        closeness: ``w``.
    """

    def __init__(self, model: Model, *, closeness: float = 100.0, **given: Any) -> None:
        super().__init__(model, **given)
        self.closeness = closeness

    def ties(
        self, learning: Learning, old: Tensor, new: Tensor, labels: Tensor | None
    ) -> dict[str, Tensor]:
        """The squared distance to the first descriptor's vectors, weighted."""
        del learning, labels
        return {"loss old": self.closeness * (new - old).square().sum(dim=1).mean()}
