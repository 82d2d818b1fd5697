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
        parts: dict[str, Tensor] = {}
        with learning.fast:
            maps = model.backbone(pixels)
            if self.objective is not None:
                output = model.output(pixels[:own], [feature_map[:own] for feature_map in maps])
                parts |= self.labelled_terms(learning, batch, output.vector, labels[:own])
                parts["loss head"] = model.head.loss(output, labels[:own])
            if self.instance is not None:
                output = model.output(pixels[own:], [feature_map[own:] for feature_map in maps])
                parts |= self.viewed_terms(learning, batch, output.vector, shown)
                if self.objective is None:
                    parts["loss head"] = model.head.loss(output, shown)
        return parts

    def labelled_terms(
        self, learning: Learning, batch: Batch, vectors: Tensor, labels: Tensor
    ) -> dict[str, Tensor]:
        """The terms of the loss of labelled images.

        Args:
            learning: the part of the training that is done, and more.
            batch: the whole batch; its first images are the labelled ones.
            vectors: ``(n, d)`` of the labelled images.
            labels: ``(n,)`` their labels.
        """
        del learning, batch
        if self.objective is None:
            return {}
        return {"loss labels": self.objective(vectors, labels)}

    def viewed_terms(
        self, learning: Learning, batch: Batch, vectors: Tensor, shown: Tensor
    ) -> dict[str, Tensor]:
        """The terms of the loss of views.

        Args:
            learning: the part of the training that is done, and more.
            batch: the whole batch; its last images are the views.
            vectors: ``(v, d)`` of the views.
            shown: ``(v,)`` numbers of the images, or ``(v, 2)`` if some views show two.
        """
        del learning, batch
        if self.instance is None:
            return {}
        return {"loss views": self.self_weight * self.instance(vectors, shown)}
