"""Photos made of fifty non-negative concepts are more often told as the photos themselves.

The layer is the last one of a frozen trunk, of which each cell adds to the vector. Concepts are
found in the cells of Grocery's training photos; other photos are put together again from them, and
their product is told by the nearest class mean, which is of the training photos as they are.
Measured is how often that is the product that is told from the photo itself. The baseline are
concepts by clustering, as in ACE (Ghorbani, Wexler, Zou and Kim, Towards Automatic Concept-based
Explanations, 2019): as many centres of the directions of the same cells, and each cell is the
centre that fits it best, at the length that does.

There are 81 products, with four training photos each. With 20 concepts fewer photos were told as
they are, with the same order of both sides (seeds 100 and 101).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.explain.concept_bank import find_concepts
from glocal.trials import Claim, Lab
from glocal.trials.data import Data
from glocal.trials.explain.point_to_point_metric_explanation import contributions
from glocal.trials.vectors import Floats, unit

CLAIM = Claim(
    measured="photos whose product is the same when they are made of 50 non-negative concepts",
    baseline="when each cell is one of 50 cluster centres",
    unit="per cent",
    comparison=">",
    margin=3.0,
    seeds=5,
)
_SIDE, _PER_CLASS, _CONCEPTS, _CELLS = 128, 8, 50, 1000
_KEPT: dict[bytes, Floats] = {}


def method(lab: Lab) -> float:
    """Non-negative factors."""
    known, labels, asked = _maps(lab)
    bank = find_concepts(known, _concepts(lab), most_cells=_CELLS, seed=lab.seed)
    rebuilt = np.stack([bank.rebuilt(each) for each in asked])
    gone = np.square(asked - rebuilt).sum() / np.square(asked).sum()
    lab.check("share of the cells' squares that concepts do not rebuild", gone, "<", 0.75)
    lab.check("smallest number of a concept", bank.concepts.min(), ">", -1e-12)
    if lab.seed == 0:
        patches = bank.examples(known[:40], 3)
        lab.check("concepts with an example patch", sum(map(bool, patches)), ">", 25)
    return _same(known, labels, asked, rebuilt)


def baseline(lab: Lab) -> float:
    """Clusters of the same cells."""
    from sklearn.cluster import KMeans

    known, labels, asked = _maps(lab)
    rows = known.reshape(-1, known.shape[-1])
    drawn = lab.random().choice(len(rows), min(_CELLS, len(rows)), replace=False)
    found = KMeans(_concepts(lab), n_init=1, random_state=lab.seed).fit(unit(rows[drawn]))
    centres = unit(found.cluster_centers_)
    lengths = asked.reshape(-1, asked.shape[-1]) @ centres.T
    nearest = centres[lengths.argmax(axis=1)] * np.maximum(lengths.max(axis=1), 0)[:, None]
    return _same(known, labels, asked, nearest.reshape(asked.shape))


def _concepts(lab: Lab) -> int:
    return 5 if lab.smoke else _CONCEPTS


def _same(known: Floats, labels: NDArray[np.int64], asked: Floats, rebuilt: Floats) -> float:
    """Photos that are told alike, per cent."""
    vectors = unit(known.sum(axis=(1, 2)))
    means = unit(np.stack([vectors[labels == each].mean(axis=0) for each in np.unique(labels)]))
    one, two = ((unit(each.sum(axis=(1, 2))) @ means.T).argmax(axis=1) for each in (asked, rebuilt))
    return 100 * float((one == two).mean())


def _maps(lab: Lab) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Cells ``(n, 4, 4, 1280)`` of training photos, their labels, and cells of other photos."""
    data: Data = lab.grocery(*((64, 4) if lab.smoke else (_SIDE, _PER_CLASS)))
    return _cells(data.train.images), data.train.labels, _cells(data.validation.images)


def _cells(images: NDArray[np.uint8]) -> Floats:
    for image in images:
        if image.tobytes() not in _KEPT:
            _KEPT[image.tobytes()] = contributions(image)
    return np.stack([_KEPT[image.tobytes()] for image in images])
