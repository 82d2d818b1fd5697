"""OCA: new queries search the old gallery, and new among new is as good as without the old model.

The old model learns 40 classes from half of the photos to train on, the new one all 81; its vector
has 64 numbers more. All 81 classes are measured on. Independent training has the same length.
"""

from __future__ import annotations

from glocal.learn.model import Model
from glocal.learn.objectives.softmax import NormalisedSoftmax
from glocal.learn.recipes.labels_and_views import LabelsAndViews
from glocal.learn.recipes.oca import OrthogonalAlignment
from glocal.trials import Claim, Lab
from glocal.trials.compatible import (
    Frozen,
    first_of_each,
    learn,
    mean_ap,
    model_of,
    photos,
    vectors_of,
)  # fmt: skip

_TOLERATED = 2.0

CLAIM = Claim(
    measured="mAP of new queries among new vectors, trained compatible",
    baseline=f"mAP of independent training, less the {_TOLERATED:g} points that may be lost",
    unit="per cent",
    comparison=">",
    margin=0.0,
    seeds=5,
)
_OLD, _NEW = 128, 192


def method(lab: Lab) -> float:
    """Train with extra dimensions and the orthogonal layer; search the old gallery."""
    data = photos(lab)
    labels = data.test.labels
    old = model_of(data.coarse, _OLD, seed=10 * lab.seed)
    plain = LabelsAndViews(old, objective=_softmax(_OLD, 40), instance=None)
    half = first_of_each(data.train, 3)
    learn(old, plain, half, steps=lab.steps(120), seed=10 * lab.seed, classes=40)
    new = _new(lab, old)
    first, found = vectors_of(old, data.test.images), vectors_of(new, data.test.images)
    gain = mean_ap(found, first, labels) - mean_ap(first, first, labels)
    lab.check("new queries in the old gallery less old-old, points of mAP", gain, ">", 0)
    return mean_ap(found, found, labels)


def baseline(lab: Lab) -> float:
    """Train independently."""
    data = photos(lab)
    alone = vectors_of(_new(lab, None), data.test.images)
    return mean_ap(alone, alone, data.test.labels) - _TOLERATED


def _new(lab: Lab, old: Model | None) -> Model:
    """The new model, tied to the old one where there is one."""
    data, seed = photos(lab), 10 * lab.seed + 1
    new = model_of(data.coarse, _NEW, hidden=256, seed=seed)
    objective = _softmax(_NEW, 81)
    recipe: LabelsAndViews
    if old is None:
        recipe = LabelsAndViews(new, objective=objective, instance=None)
    else:
        recipe = OrthogonalAlignment(new, objective=objective, instance=None, old=Frozen(old))
    learn(new, recipe, data.train, steps=lab.steps(120), seed=seed)
    recipe.finish(new)
    return new


def _softmax(dim: int, classes: int) -> NormalisedSoftmax:
    return NormalisedSoftmax(dim=dim, classes=classes)
