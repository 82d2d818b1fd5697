"""OCA: new queries search the old gallery, and new among new is as good as without the old model.

The old model learns 40 classes from half of the photos to train on, the new one all 81; its vector
has 64 numbers more. All 81 classes are measured on. Independent training has the same length.
"""

from __future__ import annotations

from glocal.learn.objectives.softmax import NormalisedSoftmax
from glocal.learn.recipes.labels_and_views import LabelsAndViews
from glocal.learn.recipes.oca import OrthogonalAlignment
from glocal.trials import Claim, Lab
from glocal.trials.compatible import (
    Features,
    Frozen,
    Labels,
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
    seeds=8,
)
_OLD, _NEW = 128, 192


def method(lab: Lab) -> float:
    """Train with extra dimensions and the orthogonal layer; search the old gallery."""
    first, new, alone, labels = _vectors(lab)
    old_old, new_old = mean_ap(first, first, labels), mean_ap(new, first, labels)
    lab.check("new queries in the old gallery less old-old, points of mAP",
              new_old - old_old, ">", 0)  # fmt: skip
    lab.check("mAP of independent queries in the old gallery", mean_ap(alone, first, labels),
              "<", old_old / 2)  # fmt: skip
    return mean_ap(new, new, labels)


def baseline(lab: Lab) -> float:
    """Train independently."""
    *_, alone, labels = _vectors(lab)
    return mean_ap(alone, alone, labels) - _TOLERATED


def _vectors(lab: Lab) -> tuple[Features, Features, Features, Labels]:
    """Vectors of the old model, of the compatible one, and of the independent one; labels."""
    data = photos(lab)
    half, steps, seed = first_of_each(data.train, 3), lab.steps(120), 10 * lab.seed
    old = model_of(data.coarse, _OLD, seed=seed)
    learn(old, LabelsAndViews(old, objective=_softmax(_OLD, 40), instance=None), half,
          steps=steps, seed=seed, classes=40)  # fmt: skip
    new = model_of(data.coarse, _NEW, hidden=256, seed=seed + 1)
    tied = OrthogonalAlignment(new, objective=_softmax(_NEW, 81), instance=None, old=Frozen(old))
    learn(new, tied, data.train, steps=steps, seed=seed + 1)
    tied.finish(new)
    alone = model_of(data.coarse, _NEW, hidden=256, seed=seed + 1)
    free = LabelsAndViews(alone, objective=_softmax(_NEW, 81), instance=None)
    learn(alone, free, data.train, steps=steps, seed=seed + 1)
    found = (vectors_of(model, data.test.images) for model in (old, new, alone))
    return *found, data.test.labels  # type: ignore[return-value]


def _softmax(dim: int, classes: int) -> NormalisedSoftmax:
    return NormalisedSoftmax(dim=dim, classes=classes)
