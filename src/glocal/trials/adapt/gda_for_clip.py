"""Four labelled photos a class, by means and one covariance, find more than the names alone.

The image-text pair is a toy, MiniLM and a linear head on lite2, trained on a quarter of Grocery's
photos of the same 81 classes. Four photos a class of the next half are labelled, the rest of that
half is what weight and temperature are chosen on, and the last quarter is searched. A photo's score
for a class is its posterior, on both sides: ranking by posteriors already helps zero-shot, whose
temperature is chosen too, and which may rank by cosines where that is better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.learn.locked_text import image_vectors
from glocal.query.gda import GaussianClasses
from glocal.trials import Claim, Lab
from glocal.trials.grocery_words import WordTask, name_recall, toy_pair, words
from glocal.trials.trunk_vectors import vectors_of
from glocal.trials.vectors import Floats

CLAIM = Claim(
    measured="recall of photos by their class, from its name and four labelled photos",
    baseline="recall by the name alone, at the best temperature",
    unit="points",
    comparison=">",
    margin=2.0,
    seeds=6,
)
_SHOTS = 4
_WEIGHTS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_SCALES = (0.0, 5.0, 20.0, 100.0)


def method(lab: Lab) -> float:
    """The weight of the labelled photos is chosen on photos kept aside."""
    task = words(lab)
    seen, searched = _images(lab, task)
    labels, few = task.second.labels, _first(task.second.labels)

    def fitted(weight: float, names: Floats | None) -> GaussianClasses:
        return GaussianClasses(weight=weight).fit(seen[few], labels[few], names)

    def score(weight: float) -> float:
        logits = fitted(weight, task.texts.names).logits(seen[~few])
        return name_recall(_posterior(logits).T, labels[~few])

    best = lab.choose(_WEIGHTS, score, on="validation")
    without = name_recall(_posterior(fitted(1.0, None).logits(seen[~few])).T, labels[~few])
    lab.check("with the names, less without, on validation", score(best) - without, ">", 0)
    logits = fitted(best, task.texts.names).logits(searched)
    return task.recall(_posterior(logits).T.astype(np.float32))


def baseline(lab: Lab) -> float:
    """Zero-shot."""
    task = words(lab)
    seen, searched = _images(lab, task)
    few = _first(task.second.labels)

    def scores(scale: float, rows: Floats) -> Floats:
        cosines = rows @ task.texts.names.T
        found = _posterior(scale * cosines.astype(np.float64)) if scale else cosines
        return found.T.astype(np.float32)

    def score(scale: float) -> float:
        return name_recall(scores(scale, seen[~few]), task.second.labels[~few])

    return task.recall(scores(lab.choose(_SCALES, score, on="validation"), searched))


def _images(lab: Lab, task: WordTask) -> tuple[Floats, Floats]:
    pair = toy_pair(lab, task)
    seen, searched = (
        image_vectors(pair, vectors_of("lite2", each)) for each in (task.second.images, task.test)
    )
    return seen, searched


def _first(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The first photos of each class; one of two where there are few."""
    place = np.array([int((labels[:i] == own).sum()) for i, own in enumerate(labels)])
    return place < np.minimum(_SHOTS, np.bincount(labels)[labels] // 2)


def _posterior(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each class, ``(n, k)``."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return found
