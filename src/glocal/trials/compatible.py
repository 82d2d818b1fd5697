"""Upgrades on photos of Grocery: small models on a frozen trunk, trained by the real recipes.

The trunk's feature maps are pooled once for each photo. In a training, one pixel stands for a
photo: its colour is the photo's number, and `Stored` is the backbone that looks its features up. So
recipes and heads are those of `glocal train`, and a step costs a millisecond.

Measured are the photos for validation, since those for the test score the vectors of one model
only. Scale, length and steps were chosen on them too, in other divisions of the same photos; both
sides of a trial have the same length and steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glocal.learn.batches import Batch
from glocal.learn.cells import Cells
from glocal.learn.contracts import Backbone, Level
from glocal.learn.heads.gem import Gem
from glocal.learn.learning import Learning
from glocal.learn.model import Model
from glocal.learn.recipes.recipe import Recipe
from glocal.trials.data import Labelled, mean_ap_of_scores
from glocal.trials.grocery_maps import SIDE, maps_of
from glocal.trials.lab import Lab
from glocal.trials.zoo import pixels

Features = NDArray[np.float32]
Labels = NDArray[np.int64]


class Stored(Backbone):
    """A backbone whose feature map of a pixel is a row of a table, with a layer that learns.

    Args:
        table: ``(n, width)``; a pixel of the colour ``i`` (``r + 256 g + 65536 b``) has row ``i``.
        hidden: width of the learned layer; 0 for none.
    """

    def __init__(self, table: Features, *, hidden: int = 0) -> None:
        super().__init__()
        width = table.shape[1]
        self.register_buffer("table", torch.from_numpy(table), persistent=False)
        learned = nn.Sequential(nn.Conv2d(width, hidden, 1), nn.ReLU()) if hidden else nn.Identity()
        self.stages = nn.ModuleList([learned])
        self.levels = (Level(1, hidden or width, 0.5),)

    def normalise(self, image: Tensor) -> Tensor:
        """The features ``(b, width, 1, 1)`` of pixels ``(b, 3, 1, 1)``."""
        places = torch.tensor([1.0, 256.0, 65536.0])[:, None, None]
        numbers = (image * 255).round().mul(places).sum(dim=1).long().flatten()
        found: Tensor = self.table[numbers][:, :, None, None]
        return found


class Frozen:
    """A trained model as the old one of a recipe.

    Args:
        model: trained model.
        classes: names of its labels.
    """

    digest = bytes(32)

    def __init__(self, model: Model, classes: Sequence[str] = ()) -> None:
        self._model, self.dim, self.classes = model.eval(), model.dim, tuple(classes)

    def vectors(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode images ``(b, 1, 1, 3)`` to unit rows."""
        return vectors_of(self._model, images)


@dataclass(frozen=True, slots=True, eq=False)
class Photos:
    """Features of photos, and which of them are trained and measured on.

    Attributes:
        fine: ``(n, 112)`` of the fine map, of all photos.
        coarse: ``(n, 1280)`` of the coarse map.
        train: pixels that stand for the photos to train on, and labels.
        test: likewise to measure on.
    """

    fine: Features
    coarse: Features
    train: Labelled
    test: Labelled


def photos(lab: Lab, per_class: int = 12) -> Photos:
    """Photos of Grocery's 81 classes: half to train on, a quarter to measure on."""
    return _photos(lab.seed, 8 if lab.smoke else per_class)


def first_of_each(data: Labelled, count: int) -> Labelled:
    """The first photos of each label."""
    kept = np.sort(
        np.concatenate(
            [np.flatnonzero(data.labels == label)[:count] for label in np.unique(data.labels)]
        )
    )
    return Labelled(data.images[kept], data.labels[kept])


def pixels_for(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Pixels ``(n, 1, 1, 3)`` that stand for rows of a table of `Stored`."""
    places = np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16 & 255], axis=-1)
    return places.astype(np.uint8)[:, None, None]


def model_of(table: Features, dim: int, *, hidden: int = 0, seed: int = 0) -> Model:
    """A model on stored features: perhaps a layer, then a projection to vectors."""
    torch.manual_seed(seed)
    trunk = Stored(table, hidden=hidden)
    return Model(trunk, Gem(trunk.levels, dim=dim, power=1.0, learn_power=False), _no_cells(trunk))


def learn(
    model: Model, recipe: Recipe, data: Labelled, *,
    steps: int, seed: int, classes: int | None = None, batch: int = 64, lr: float = 3e-3,
) -> None:  # fmt: skip
    """Train a model with a recipe, as the loop of `glocal train` does.

    Args:
        model: model; in evaluation mode afterwards.
        recipe: its recipe.
        data: pixels and labels.
        steps: number of steps.
        seed: seed of the batches.
        classes: number of labels, from 0, whose photos are there; None for all.
        batch: photos in a step.
        lr: highest learning rate; it falls to zero.
    """
    there = np.flatnonzero(data.labels < (81 if classes is None else classes))
    learning = Learning(model, recipe, torch.device("cpu"))
    learning.make_optimizer(lr)
    random = np.random.default_rng([seed, 7])
    model.train()
    for step in range(steps):
        learning.done = step / steps
        for group in learning.optimizer.param_groups:
            falling = 0.5 + 0.5 * np.cos(np.pi * learning.done)
            group["lr"] = group["highest"] * min(1.0, (step + 1) / 10) * falling
        chosen = random.choice(there, min(batch, len(there)), False)
        images, labels = data.images[chosen], data.labels[chosen]
        recipe.step(learning, Batch(images, labels, len(labels), chosen))
    model.eval()


@torch.no_grad()
def vectors_of(model: Model, images: NDArray[np.uint8]) -> Features:
    """Vectors ``(n, d)`` of pixels."""
    found: Features = model.eval()(pixels(images)).vector.numpy()
    return found


def mean_ap(queries: Features, gallery: Features, labels: Labels) -> float:
    """mAP in per cent of each photo among the others, by vectors of two models.

    Where one model's vectors are longer, their first numbers count.

    Args:
        queries: ``(n, d)`` of the model that encodes queries.
        gallery: ``(n, e)`` of the model that encoded the gallery.
        labels: ``(n,)``.
    """
    dim = min(queries.shape[1], gallery.shape[1])
    own, other = (_unit(each[:, :dim]) for each in (queries, gallery))
    return mean_ap_of_scores(own @ other.T, labels)


def compatibility(vectors: Sequence[Features], labels: Labels) -> NDArray[np.float64]:
    """The compatibility matrix ``(t, t)`` of a chain of models, in per cent.

    Args:
        vectors: of each model for the same photos, oldest first.
        labels: of the photos.

    Returns:
        Row ``i``, column ``j``: mAP of queries by model ``i`` in the gallery of model ``j``.
    """
    return np.array([[mean_ap(own, other, labels) for other in vectors] for own in vectors])


def average_compatibility(matrix: NDArray[np.float64]) -> float:
    """AC in per cent: of how many pairs of models ``j < i``, ``M_ij > M_jj`` (Biondi et al.)."""
    kept = [matrix[i, j] > matrix[j, j] for i in range(len(matrix)) for j in range(i)]
    return 100 * float(np.mean(kept))


def average_accuracy(matrix: NDArray[np.float64]) -> float:
    """AA: the mean of ``M_ij`` over ``j <= i`` (Biondi et al.)."""
    return float(matrix[np.tril_indices(len(matrix))].mean())


def _unit(vectors: Features) -> Features:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _no_cells(trunk: Backbone) -> Cells:
    return Cells(trunk.levels, dim=4, count=1).requires_grad_(False)


@cache
def _photos(seed: int, per_class: int) -> Photos:
    data = Lab(seed).grocery(SIDE, per_class)
    train, test = data.train, data.validation
    maps = [maps_of(images) for images in (train.images, test.images)]
    fine, coarse = (
        torch.cat([each[level].mean(dim=(2, 3)) for each in maps]).numpy() for level in (0, 1)
    )
    numbers = np.arange(len(fine))
    stand = pixels_for(numbers)
    own = len(train.labels)
    return Photos(
        fine, coarse, Labelled(stand[:own], train.labels), Labelled(stand[own:], test.labels)
    )
