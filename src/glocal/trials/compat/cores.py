"""CoReS: five upgrades with a fixed simplex, and the criterion for every pair of the six models.

Model ``t`` is trained anew, on ``t + 1`` photos of each of 40 to 81 classes, from the weights that
`glocal train` begins with for its seed. Photos of the 40 classes that all models know are measured
on; what no model of a pair was trained on, no criterion can promise.

This is the last of some twenty protocols: on photos of all 81 classes, and where every model had
all photos of its classes, no pair or hardly one met the criterion. Scale, length, steps and the
growing number of photos were chosen on the validation photos on which it is measured, in other
divisions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from glocal.learn.contracts import Objective
from glocal.learn.objectives.fixed_polytope import FixedPolytope
from glocal.learn.objectives.softmax import NormalisedSoftmax
from glocal.learn.recipes.labels_and_views import LabelsAndViews
from glocal.trials import Claim, Lab
from glocal.trials.compatible import (
    average_compatibility,
    compatibility,
    first_of_each,
    learn,
    model_of,
    photos,
    vectors_of,
)  # fmt: skip

CLAIM = Claim(
    measured="pairs of six successive models that meet the compatibility criterion, fixed simplex",
    baseline="pairs that meet it, with learned class weights",
    unit="per cent",
    comparison=">",
    margin=50.0,
    seeds=5,
)
CLASSES = (40, 48, 56, 64, 72, 81)
_DIM = 128


def method(lab: Lab) -> float:
    """Upgrade with the vertices of a simplex as class weights."""
    matrix = chain(lab, lambda classes: FixedPolytope(dim=_DIM, classes=classes))
    gain = np.mean([matrix[i, j] - matrix[j, j] for i in range(6) for j in range(i)])
    lab.check("mean of new-old less old-old over all pairs, points of mAP", float(gain), ">", 0)
    return average_compatibility(matrix)


def baseline(lab: Lab) -> float:
    """Upgrade with normalised softmax, whose class weights are learned."""
    return average_compatibility(
        chain(lab, lambda classes: NormalisedSoftmax(dim=_DIM, classes=classes))
    )


def chain(lab: Lab, made: Callable[[int], Objective]) -> NDArray[np.float64]:
    """The compatibility matrix of six models."""
    data = photos(lab)
    known = data.test.labels < CLASSES[0]
    found = []
    for number, classes in enumerate(CLASSES):
        model = model_of(data.coarse, _DIM, seed=lab.seed)
        recipe = LabelsAndViews(model, objective=made(classes), instance=None)
        learn(
            model, recipe, first_of_each(data.train, number + 1),
            steps=lab.steps(80), seed=10 * lab.seed + number, classes=classes,
        )  # fmt: skip
        found.append(vectors_of(model, data.test.images[known]))
    return compatibility(found, data.test.labels[known])
