"""The base of recipes that keep a new model's vectors comparable with an old one's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from glocal.errors import LearnError
from glocal.learn.batches import Batch
from glocal.learn.learning import Learning
from glocal.learn.model import Model
from glocal.learn.old_model import Old
from glocal.learn.recipes.labels_and_views import LabelsAndViews


class Compatible(LabelsAndViews):
    """Labels and views, with terms that tie the vectors to those of an old model.

    A subclass implements `ties`. Its row of the registry has the trait ``compatible``, by which
    `glocal train --compatible-with` knows that it takes ``old``. The old model is not stored in
    checkpoints, but its digest is: a training does not resume with another one.

    Args:
        model: the new model.
        old: the old model.

    Raises:
        LearnError: the new vectors are shorter than the old ones.
    """

    old_digest: Tensor

    def __init__(self, model: Model, *, old: Old, **given: Any) -> None:
        super().__init__(model, **given)
        if model.dim < old.dim:
            raise LearnError(
                f"the old model's vectors have {old.dim} numbers, more than the new one's "
                f"{model.dim}; use --dim {old.dim} or more"
            )
        self.old = old
        self.register_buffer("old_digest", torch.tensor(list(old.digest), dtype=torch.uint8))

    def ties(
        self, learning: Learning, old: Tensor, new: Tensor, labels: Tensor | None
    ) -> dict[str, Tensor]:
        """The terms that keep new vectors comparable with old ones.

        Args:
            learning: the part of the training that is done, and more.
            old: ``(n, d)`` vectors of the old model for the same images, unit rows.
            new: ``(n, d)`` the first numbers of the new vectors, unit rows.
            labels: ``(n,)``; None for views of images without labels.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what ties it to the old")

    def labelled_terms(
        self, learning: Learning, batch: Batch, vectors: Tensor, labels: Tensor
    ) -> dict[str, Tensor]:
        """The terms of labelled images, with their ties."""
        told = super().labelled_terms(learning, batch, vectors, labels)
        old = self._old(learning, batch, slice(batch.labelled))
        return told | self.ties(learning, old, self.comparable(vectors), labels)

    def viewed_terms(
        self, learning: Learning, batch: Batch, vectors: Tensor, shown: Tensor
    ) -> dict[str, Tensor]:
        """The terms of views, with their ties."""
        told = super().viewed_terms(learning, batch, vectors, shown)
        old = self._old(learning, batch, slice(batch.labelled, None))
        tied = self.ties(learning, old, self.comparable(vectors), None)
        return told | {f"{name} of views": term for name, term in tied.items()}

    def comparable(self, vectors: Tensor) -> Tensor:
        """The part ``(n, d_old)`` of new vectors that is compared with old ones, unit rows."""
        part: Tensor = torch.nn.functional.normalize(vectors.float()[:, : self.old.dim], dim=1)
        return part

    def _old(self, learning: Learning, batch: Batch, which: slice) -> Tensor:
        return torch.from_numpy(self.old.vectors(batch.images[which])).to(learning.device)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **more: Any
    ) -> None:
        stored = state_dict.get(f"{prefix}old_digest")
        if stored is not None and not torch.equal(stored.cpu(), self.old_digest.cpu()):
            raise LearnError(
                "this training was begun with another old model; give the same file to "
                "--compatible-with, or another --run to start a new training"
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **more)
