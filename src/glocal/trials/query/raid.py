"""Of made scenes of two shapes, RAID finds those in the same relation; offsets and overlaps do not.

A second measure is taken on photos: two objects are pasted in, keypoints say where they are, and
boxes around them are all that the descriptor sees.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import detect_at_scales
from glocal.encoders.xfeat import XFeat
from glocal.query.areas import Area
from glocal.query.raid import Raid
from glocal.ranking.calibration import calibration_for
from glocal.ranking.geometry import project
from glocal.ranking.verification import verify
from glocal.trials import Claim, Lab
from glocal.trials.data import mean_ap_of_scores
from glocal.trials.two_shapes import RELATIONS, pasted, two_shapes

CLAIM = Claim(
    measured="mAP of the scenes in which two shapes stand as in the query, by RAID",
    baseline="mAP by the offset of their middles or by the overlap of their boxes, the better one",
    unit="points",
    comparison=">",
    margin=10.0,
    seeds=8,
)
_EACH = 24  # scenes of each relation
_PASTED = 6  # photos of each relation
_LEAST_RIGHT = 60.0
_SCALES = (1.0, 0.5)  # of the objects, which are smaller in the photos

Masks = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def method(lab: Lab) -> float:
    """Histograms of what each shape's points see of the other one."""
    raid = Raid()
    scenes, labels = _scenes(lab)
    found = np.stack([raid.describe(*map(Area.of_mask, pair)) for pair in scenes])
    scores = np.stack([raid.similarities(each, found) for each in found])
    right = 100 * _nearest_is_right(lab)
    lab.check("photos whose nearest one has the relation, per cent", right, ">", _LEAST_RIGHT)
    return mean_ap_of_scores(scores, labels)


def baseline(lab: Lab) -> float:
    """What two boxes say at once: where the one is from the other, and what they share."""
    scenes, labels = _scenes(lab)
    measures: tuple[Callable[[Masks], NDArray[np.float64]], ...] = (_offset, _overlap)
    found = [np.stack([measure(pair) for pair in scenes]) for measure in measures]
    return max(
        mean_ap_of_scores(-np.linalg.norm(rows[:, None] - rows[None], axis=2), labels)
        for rows in found
    )


def _scenes(lab: Lab) -> tuple[list[Masks], NDArray[np.int64]]:
    random, each = lab.random(), lab.steps(_EACH)
    names = [name for name in RELATIONS for _ in range(each)]
    labels = np.repeat(np.arange(len(RELATIONS)), each)
    return [two_shapes(name, random) for name in names], labels


def _offset(pair: Masks) -> NDArray[np.float64]:
    """From the middle of the first box to that of the second, in sides of the first."""
    (low, high), (other_low, other_high) = map(_corners, pair)
    return ((other_low + other_high) - (low + high)) / 2 / np.sqrt(np.prod(high - low))


def _overlap(pair: Masks) -> NDArray[np.float64]:
    """Intersection over union of the boxes, and of each box's own area what they share."""
    (low, high), (other_low, other_high) = map(_corners, pair)
    shared = np.prod(np.maximum(np.minimum(high, other_high) - np.maximum(low, other_low), 0))
    one, other = np.prod(high - low), np.prod(other_high - other_low)
    return np.array([shared / (one + other - shared), shared / one, shared / other])


def _corners(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows, columns = np.nonzero(mask)
    return (
        np.array([columns.min(), rows.min()], np.float64),
        np.array([columns.max(), rows.max()], np.float64) + 1,
    )


def _nearest_is_right(lab: Lab) -> float:
    """Share of photos with two objects whose nearest other photo has them in the same relation."""
    raid, random = Raid(), lab.random()
    detector = XFeat(threads=1)
    calibration = calibration_for(detector.name)
    assert calibration is not None  # noqa: S101 - a file of the package
    made = pasted(lab, random, lab.steps(_PASTED))
    things = [detect_at_scales(detector, each, _SCALES) for each in made.objects]
    side = made.objects[0].shape[0]
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float64)
    described, labels = [], []
    for photo, label in zip(made.photos, made.labels, strict=True):
        local, boxes = detector.detect(photo), []
        for thing in things:
            found = verify(thing, local, (side, side), photo.shape[1::-1], calibration.settings)
            if found.homography is not None:
                placed = project(found.homography, corners)
                low, high = placed.min(axis=0), placed.max(axis=0)
                boxes.append((*low, *(high - low)))
        if len(boxes) == len(things):
            areas = [Area.of_box(box, photo.shape[1::-1]) for box in boxes]
            described.append(raid.describe(*areas))
            labels.append(label)
    if len(described) < 2:
        return 0.0
    rows, kinds = np.stack(described), np.array(labels)
    scores = np.stack([raid.similarities(each, rows) for each in rows])
    np.fill_diagonal(scores, -1)
    # A photo in which an object is not found counts as wrong.
    return float((kinds[scores.argmax(axis=1)] == kinds).sum() / len(made.photos))
