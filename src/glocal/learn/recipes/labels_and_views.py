"""Plain training: an objective on labelled images, another on views of any images."""

from __future__ import annotations

from torch import Tensor

from glocal.learn.batches import Batch
from glocal.learn.learning import Learning
from glocal.learn.recipes.recipe import Recipe


class LabelsAndViews(Recipe):
    """One pass over labelled images and views, whose losses are added."""

    def step(self, learning: Learning, batch: Batch) -> dict[str, float]:
        """Learn from a batch, and return the loss and its terms."""
        return learning.descend(self.losses(learning, batch))

    def losses(self, learning: Learning, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss of a batch."""
        model, own = learning.model, batch.labelled
        pixels, labels, shown = learning.tensors(batch)
        parts = {}
        with learning.fast:
            maps = model.backbone(pixels)
            if self.objective is not None:
                output = model.output(pixels[:own], [feature_map[:own] for feature_map in maps])
                parts["loss labels"] = self.objective(output.vector, labels[:own])
                parts["loss head"] = model.head.loss(output, labels[:own])
            if self.instance is not None:
                output = model.output(pixels[own:], [feature_map[own:] for feature_map in maps])
                parts["loss views"] = self.self_weight * self.instance(output.vector, shown)
                if self.objective is None:
                    parts["loss head"] = model.head.loss(output, shown)
        return parts
