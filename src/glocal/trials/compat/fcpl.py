"""FCPL: three copy descriptors query each other's index, and their mean finds copies better.

The descriptors see the coarse map of a frozen trunk by its mean, the same map by its maximum, and
the fine map. They learn from altered views of photos without labels. Photos are of Grocery; each is
altered four times, and an altered photo is sought among the originals of all. Frames of videos
are photos here.
"""

from __future__ import annotations

import hashlib
from functools import cache
from itertools import permutations

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.learn.augment.augmentation import Augmentation
from glocal.learn.batches import Batch
from glocal.learn.learning import Learning
from glocal.learn.model import Model
from glocal.learn.objectives.instance import InstanceDiscrimination
from glocal.learn.recipes.fcpl import FeatureCompatible
from glocal.learn.recipes.labels_and_views import LabelsAndViews
from glocal.learn.recipes.recipe import Recipe
from glocal.trials import Claim, Lab
from glocal.trials.compatible import Features, Frozen, model_of, pixels_for, vectors_of
from glocal.trials.grocery_maps import SIDE, maps_of

CLAIM = Claim(
    measured="mAP of copies found by the mean of three compatible descriptors",
    baseline="mAP of the best of the three alone",
    unit="per cent",
    comparison=">",
    margin=0.5,
    seeds=5,
)
_DIM = 64
_VERSIONS = 5  # the original, and four altered ones
_SEEN = 3  # versions that are trained on; the others are sought


def method(lab: Lab) -> float:
    """Tie two descriptors to the first; search across, and by the mean."""
    tables = _tables(lab)
    models = _trained(lab, tables, tied=True)
    found = [_encoded(model, tables[0].shape[0]) for model in models]
    alone = [_mean_ap(each, each) for each in found]
    for own, other in permutations(range(3), 2):
        share = _mean_ap(found[own], found[other]) / min(alone[own], alone[other])
        lab.check(f"descriptor {own} in the index of {other}, in parts of the worse alone",
                  share, ">", 0.8)  # fmt: skip
    free = [_encoded(model, tables[0].shape[0]) for model in _trained(lab, tables, tied=False)]
    lab.check("independent descriptors 0 in the index of 1, mAP", _mean_ap(free[0], free[1]),
              "<", 20)  # fmt: skip
    mean = np.mean(found, axis=0)
    return _mean_ap(mean / np.linalg.norm(mean, axis=-1, keepdims=True), None)


def baseline(lab: Lab) -> float:
    """Each of the same descriptors alone; the best of them."""
    tables = _tables(lab)
    models = _trained(lab, tables, tied=True)
    found = [_encoded(model, tables[0].shape[0]) for model in models]
    return max(_mean_ap(each, each) for each in found)


def _mean_ap(queries: Features, gallery: Features | None) -> float:
    """mAP in per cent of the versions not trained on, sought among the originals.

    Args:
        queries: ``(n, versions, d)``.
        gallery: likewise; None for the same.
    """
    originals = (queries if gallery is None else gallery)[:, 0]
    right = np.arange(len(queries))
    ranks = []
    for version in range(_SEEN, _VERSIONS):
        scores = queries[:, version] @ originals.T
        ranks.append(1 + (scores > scores[right, right][:, None]).sum(axis=1))
    return 100 * float(np.mean(1 / np.stack(ranks)))


def _encoded(model: Model, rows: int) -> Features:
    """Vectors ``(n, versions, d)``."""
    return vectors_of(model, pixels_for(np.arange(rows))).reshape(-1, _VERSIONS, _DIM)


def _trained(lab: Lab, tables: list[Features], *, tied: bool) -> list[Model]:
    models: list[Model] = []
    for number, table in enumerate(tables):
        model = model_of(table, _DIM, seed=10 * lab.seed + number)
        recipe: Recipe
        views = InstanceDiscrimination()
        if models and tied:
            old = Frozen(models[0])
            recipe = FeatureCompatible(model, objective=None, instance=views, old=old)
        else:
            recipe = LabelsAndViews(model, objective=None, instance=views)
        _learn(lab, model, recipe, len(table) // _VERSIONS, seed=number)
        models.append(model)
    return models


def _learn(lab: Lab, model: Model, recipe: Recipe, photos: int, *, seed: int) -> None:
    learning = Learning(model, recipe, torch.device("cpu"))
    learning.make_optimizer(3e-3)
    random = np.random.default_rng([lab.seed, seed, 3])
    steps = lab.steps(120)
    model.train()
    for step in range(steps):
        for group in learning.optimizer.param_groups:
            group["lr"] = group["highest"] * (0.5 + 0.5 * np.cos(np.pi * step / steps))
        chosen = random.choice(photos, min(64, photos), False)
        versions = np.stack([random.permutation(_SEEN)[:2] for _ in chosen], axis=0)
        rows = (chosen[:, None] * _VERSIONS + versions).T.reshape(-1)
        twice = np.concatenate([chosen, chosen])
        recipe.step(learning, Batch(pixels_for(rows), twice, 0, twice))
    model.eval()


def _tables(lab: Lab) -> list[Features]:
    """Features of all versions of the photos, for each descriptor."""
    data = lab.grocery(SIDE, 4)
    images = data.train.images[:20] if lab.smoke else data.train.images
    pooled = [_pooled(image.tobytes()) for image in images]
    return [np.concatenate(table) for table in zip(*pooled, strict=True)]


@cache
def _pooled(content: bytes) -> tuple[Features, Features, Features]:
    """Features ``(versions, width)`` of a photo; how it is altered follows from its content."""
    image: NDArray[np.uint8] = np.frombuffer(content, np.uint8).reshape(SIDE, SIDE, 3)
    random = np.random.default_rng(list(hashlib.sha256(content).digest()[:8]))
    alter = Augmentation(side=SIDE, strength=1.0)
    versions = [image, *(alter(image, random) for _ in range(_VERSIONS - 1))]
    with torch.no_grad():
        fine, coarse = maps_of(np.stack(versions))
        found = (coarse.mean(dim=(2, 3)), coarse.amax(dim=(2, 3)), fine.mean(dim=(2, 3)))
    return tuple(each.numpy() for each in found)  # type: ignore[return-value]
