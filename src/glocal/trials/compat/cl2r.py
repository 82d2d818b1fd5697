"""CL2R: five tasks of new classes with a memory of two photos a class; the old gallery stays.

The gallery is encoded once, by the first model, and never again. Each task has the photos of its
new classes and the memory, and begins with the model of the task before. The baseline replays the
same memory with learned class weights and no distillation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.learn.contracts import Objective
from glocal.learn.objectives.fixed_polytope import FixedPolytope
from glocal.learn.objectives.softmax import NormalisedSoftmax
from glocal.learn.recipes.cl2r import LifelongLearning
from glocal.learn.recipes.labels_and_views import LabelsAndViews
from glocal.trials import Claim, Lab
from glocal.trials.compat.cores import CLASSES
from glocal.trials.compatible import (
    Frozen,
    average_accuracy,
    average_compatibility,
    compatibility,
    learn,
    model_of,
    photos,
    vectors_of,
)  # fmt: skip
from glocal.trials.data import Labelled

CLAIM = Claim(
    measured="mAP of queries by the last of six models in the gallery of the first",
    baseline="the same, with replay of the same memory and learned class weights",
    unit="per cent",
    comparison=">",
    margin=5.0,
    seeds=5,
)
_DIM = 128
_MEMORY = 2


def method(lab: Lab) -> float:
    """Learn the tasks with a fixed simplex, and keep the vectors of the memory."""
    matrix = _chain(lab, tied=True)
    kept = matrix[-1, 0] / matrix[0, 0]
    lab.check("last queries in the first gallery, in parts of the first", kept, ">", 0.9)
    if lab.seed:
        return float(matrix[-1, 0])
    lab.check("AC: pairs that meet the criterion, per cent", average_compatibility(matrix), ">", 0)
    replayed = _chain(lab, tied=False)
    lab.check("AA less that of replay, points of mAP",
              average_accuracy(matrix) - average_accuracy(replayed), ">", 0)  # fmt: skip
    return float(matrix[-1, 0])


def baseline(lab: Lab) -> float:
    """Learn the tasks by replay alone."""
    return float(_chain(lab, tied=False)[-1, 0])


def _chain(lab: Lab, *, tied: bool) -> NDArray[np.float64]:
    """The compatibility matrix of the model after each task, on the classes of the first."""
    data = photos(lab)
    known = data.test.labels < CLASSES[0]
    model = model_of(data.coarse, _DIM, seed=lab.seed)
    found = []
    for number, classes in enumerate(CLASSES):
        before = CLASSES[number - 1] if number else 0
        seed, steps = 10 * lab.seed + number, lab.steps(100)
        recipe: LabelsAndViews
        if number and tied:
            old = model_of(data.coarse, _DIM)
            old.load_state_dict(model.state_dict())
            names = [str(label) for label in range(before)]
            recipe = LifelongLearning(
                model, objective=_objective(classes, tied), instance=None, old=Frozen(old, names)
            )
        else:
            recipe = LabelsAndViews(model, objective=_objective(classes, tied), instance=None)
        learn(model, recipe, _task(data.train, before), steps=steps, seed=seed, classes=classes)
        found.append(vectors_of(model, data.test.images[known]))
    return compatibility(found, data.test.labels[known])


def _objective(classes: int, tied: bool) -> Objective:
    made = FixedPolytope if tied else NormalisedSoftmax
    return made(dim=_DIM, classes=classes)


def _task(data: Labelled, before: int) -> Labelled:
    """All photos of new classes, and the memory of those before."""
    place = np.array([int((data.labels[:i] == own).sum()) for i, own in enumerate(data.labels)])
    there = (data.labels >= before) | (place < _MEMORY)
    return Labelled(data.images[there], data.labels[there])
