"""d-Simplex: both inequalities of compatibility, in a fine-tuning and in a replacement.

The first model learns 40 classes. It is fine-tuned on 60 classes and more photos, and then replaced
by a larger model, of both maps of the trunk, that was trained elsewhere with the same simplex on
all classes. Distances are ``1 - cos``; inequalities are those of the means over all pairs of photos
of the 40 classes that all models know. Where a class is at its vertex in both models, both hold
with equality; photos that no model has seen scatter about it, some cases by a few thousandths on
the wrong side. A first design of this trial, with other features, another replacement and another
scale, missed the first inequality by .09 and more.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glocal.learn.contracts import Objective
from glocal.learn.objectives.fixed_polytope import FixedPolytope
from glocal.learn.objectives.softmax import NormalisedSoftmax
from glocal.learn.recipes.labels_and_views import LabelsAndViews
from glocal.learn.recipes.stationary import Stationary
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

CLAIM = Claim(
    measured="least slack of both inequalities after fine-tuning and replacement, fixed simplex",
    baseline="least slack, with learned class weights and no ties",
    unit="cosine",
    comparison=">",
    margin=0.2,
    seeds=5,
)
_DIM = 128
_KNOWN = 40


def method(lab: Lab) -> float:
    """Train with the simplex, and tie the fine-tuned model to the first by contrast."""
    first, tuned, replaced, labels = _chain(
        lab, lambda classes: FixedPolytope(dim=_DIM, classes=classes, scale=4.0), tied=True
    )
    found = {
        "fine-tuning": _slacks(tuned, first, labels),
        "replacement of the fine-tuned": _slacks(replaced, tuned, labels),
        "replacement of the first": _slacks(replaced, first, labels),
    }
    for what, slacks in found.items():
        for kind, slack in zip(("one class", "two classes"), slacks, strict=True):
            lab.check(f"{what}: slack of the inequality for photos of {kind}", slack, ">", 0)
    gain = mean_ap(replaced, tuned, labels) - mean_ap(tuned, tuned, labels)
    lab.check("replacement: new-old less old-old, points of mAP", gain, ">", 0)
    return min(slack for slacks in found.values() for slack in slacks)


def baseline(lab: Lab) -> float:
    """Train with normalised softmax, and fine-tune without ties."""
    first, tuned, replaced, labels = _chain(
        lab, lambda classes: NormalisedSoftmax(dim=_DIM, classes=classes), tied=False
    )
    pairs = ((tuned, first), (replaced, tuned), (replaced, first))
    return min(slack for new, old in pairs for slack in _slacks(new, old, labels))


def _chain(
    lab: Lab, made: Callable[[int], Objective], *, tied: bool
) -> tuple[Features, Features, Features, Labels]:
    """Vectors of the first model, the fine-tuned one and the replacement; labels."""
    data = photos(lab)
    known = data.test.labels < _KNOWN
    images, labels = data.test.images[known], data.test.labels[known]
    steps = lab.steps(120)
    model = model_of(data.coarse, _DIM, seed=lab.seed)
    plain = LabelsAndViews(model, objective=made(_KNOWN), instance=None)
    seed = 10 * lab.seed
    learn(model, plain, first_of_each(data.train, 3), steps=steps, seed=seed, classes=_KNOWN)
    first = vectors_of(model, images)
    tuning: LabelsAndViews
    if tied:
        old = model_of(data.coarse, _DIM)
        old.load_state_dict(model.state_dict())
        tuning = Stationary(model, objective=made(60), instance=None, old=Frozen(old))
    else:
        tuning = LabelsAndViews(model, objective=made(60), instance=None)
    learn(model, tuning, data.train, steps=steps, seed=seed + 1, classes=60)
    tuned = vectors_of(model, images)
    both = np.concatenate([_scaled(data.fine), _scaled(data.coarse)], axis=1)
    other = model_of(both, _DIM, hidden=256, seed=lab.seed + 1)
    elsewhere = LabelsAndViews(other, objective=made(81), instance=None)
    learn(other, elsewhere, data.train, steps=steps, seed=seed + 2)
    return first, tuned, vectors_of(other, images), labels


def _slacks(new: Features, old: Features, labels: Labels) -> tuple[float, float]:
    """By how much the means meet both inequalities: of one class closer, of two farther."""
    others = ~np.eye(len(labels), dtype=bool)
    same = (labels[:, None] == labels[None, :]) & others
    apart_old, apart_new = 1 - old @ old.T, 1 - new @ old.T
    closer = (apart_old - apart_new)[same].mean()
    farther = (apart_new - apart_old)[~same & others].mean()
    return float(closer), float(farther)


def _scaled(features: Features) -> Features:
    """Rows of the length 10, about what those of the coarse map have."""
    return 10 * features / np.linalg.norm(features, axis=1, keepdims=True)
