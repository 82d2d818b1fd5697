"""Line drawings of rendered solids find their photo, and with the switch other views of the solid.

A toy: drawings are made of renderings by `glocal.query.drawings`, nobody drew them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.query.freeview import FreeviewSketch
from glocal.trials import Claim, Lab
from glocal.trials.data import mean_ap_of_scores
from glocal.trials.drawn_solids import VIEWS, Floats, Solids, products, solids

CLAIM = Claim(
    measured="mAP of the other photos of the drawn solid, switched to any view",
    baseline="the same, switched to this view",
    unit="points",
    comparison=">",
    margin=3.0,
    seeds=8,
)
_THINGS, _LEARNT = 72, 48
_LEAST_EXACT = 20.0  # chance is 1 in 144
_LEAST_PRODUCTS = 35.0  # chance is 1 in 81


def method(lab: Lab) -> float:
    """Content alone is compared; the checks are of the other mode."""
    tested, found = _learnt(lab)
    drawn = _flat(tested.sketches)
    exact = _exact(found.queries(drawn), tested)
    lab.check("exact photo first, this view, per cent", exact, ">", _LEAST_EXACT)
    less = _exact(found.queries(drawn, any_view=True), tested)
    lab.check("the same less that of any view", exact - less, ">", 0.0)
    lab.check("product image first, per cent", _product_first(found), ">", _LEAST_PRODUCTS)
    return _other_views(found.queries(drawn, any_view=True), tested)


def baseline(lab: Lab) -> float:
    """The same map, with content and view."""
    tested, found = _learnt(lab)
    return _other_views(found.queries(_flat(tested.sketches)), tested)


def _learnt(lab: Lab) -> tuple[Solids, FreeviewSketch]:
    """The solids of the test, and what is learnt from the others."""
    every = solids(12 if lab.smoke else _THINGS)
    order = lab.random().permutation(len(every.photos))
    cut = 8 if lab.smoke else _LEARNT
    train = Solids(every.photos[order[:cut]], every.sketches[order[:cut]])
    photos = _flat(train.photos)
    things = np.arange(len(photos)) // VIEWS
    made = FreeviewSketch().fit(_flat(train.sketches), photos, things)
    return Solids(every.photos[order[cut:]], every.sketches[order[cut:]]), made


def _flat(rows: Floats) -> Floats:
    return rows.reshape(-1, rows.shape[-1])


def _exact(queries: Floats, tested: Solids) -> float:
    """Share of sketches whose own photo is the first, in per cent."""
    scores = queries @ _flat(tested.photos).T
    return 100 * float((scores.argmax(axis=1) == np.arange(len(scores))).mean())


def _other_views(queries: Floats, tested: Solids) -> float:
    """Mean average precision of the photos of the same solid but for the view that was drawn."""
    scores = queries @ _flat(tested.photos).T
    things: NDArray[np.int64] = np.arange(len(scores)) // VIEWS
    return mean_ap_of_scores(scores, things)  # which leaves out the photo of the same number


def _product_first(found: FreeviewSketch) -> float:
    """Drawings of products among product images, by a map that has seen none of either."""
    images, drawings = products()
    scores = found.queries(drawings) @ images.T
    return 100 * float((scores.argmax(axis=1) == np.arange(len(scores))).mean())
