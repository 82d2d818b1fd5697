"""The plain average of tuned networks."""

from __future__ import annotations

from torch import Tensor

from glocal.learn.mergers.merger import Merger


class Average(Merger):
    """The mean of the weights, which is the mean of what the tunings have added.

    Source: Wortsman, Ilharco, Gadre, Roelofs, Gontijo-Lopes, Morcos, Namkoong, Farhadi, Carmon,
    Kornblith and Schmidt, Model Soups: Averaging Weights of Multiple Fine-Tuned Models Improves
    Accuracy without Increasing Inference Time, 2022.

    Deviations: none; this is the paper's uniform soup.
    """

    name = "average"

    def change(self, changes: Tensor) -> Tensor:
        """The mean change ``(p,)`` of ``(t, p)``."""
        return changes.mean(dim=0)
