"""Fit src/glocal/ranking/calibration.json: how far a detector's matches can be trusted.

    python benchmarks/calibrate_verification.py --images FOLDER... [--detector NAME]

FOLDER holds unpacked wallpapers; see `verification_sets`. The calibration is fitted on re-shot
copies and on cartons of Grocery's training photos, and how certain it has to be also on different
things in the same surroundings (`surroundings`). Each query is paired with its 50 best candidates
by vector, since these are the pairs that the vector confuses. The other half of the originals,
Grocery's test photos, real views and the scenes are not used here;
``benchmarks/verification.py`` evaluates on them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from found_sets import same_surroundings
from glocal.encoders import DEFAULT_MODEL, Detector, EncoderDetector, OnnxEncoder, load_encoder
from glocal.encoders.local_features import QUERY_SCALES
from glocal.encoders.sift import Sift
from glocal.encoders.xfeat import XFeat
from glocal.ranking.calibration import (
    FILE,
    Calibration,
    Logistic,
    calibrations,
    write_calibration,
)
from glocal.ranking.verification import Settings
from verification_pairs import Known, Pairs, index, verify_set
from verification_sets import Images, LabelledSet, copies, grocery, products, wallpapers

Array = NDArray[np.float64]
ABSENT = 0.005  # of queries without an answer, those that may be given one: half of what is allowed
COPY_PRECISION = 0.99
_UNFITTED = Logistic(0.0, (0.0,) * 5)

# Chosen by hand on the sets of `verification_sets`; docs/decisions.md has the measurements.
STARTS: dict[str, Calibration] = {
    "own": Calibration(
        Settings(min_similarity=0.55, tolerance=14 / 320),  # 0.5 of 128, until version 3
        min_score=30.0,  # a blank image's borders give up to 28, photos from 42 on
        floor=2.0,
        per_match=0.1,
        order_weight=0.3,
        same=_UNFITTED,
        copy=_UNFITTED,
        same_from=1.0,
        copy_from=1.0,
    ),
}
STARTS["xfeat"] = replace(STARTS["own"], settings=Settings(0.7, 5 / 320), min_score=0.01, floor=4.0)
# Local features that were trained (scripts/default_model/train_local.py), at a stride of 8.
STARTS["trained"] = replace(
    STARTS["own"],
    settings=Settings(0.75, 14 / 320),
    min_score=0.1,  # a blank image gives up to .002, faint noise .03 to .12, photos from .14 on
    floor=4.0,
)
STARTS["sift"] = replace(STARTS["own"], settings=Settings(0.8, 4 / 320), min_score=0.0)
DETECTORS: dict[str, tuple[Callable[[OnnxEncoder], Detector], tuple[float, ...]]] = {
    "own": (EncoderDetector, QUERY_SCALES),
    "xfeat": (lambda _: XFeat(), (1.0, 0.7, 0.5, 0.35, 0.25)),
    "sift": (lambda _: Sift(), (1.0,)),
}


def fit_logistic(signs: Array, right: NDArray[np.bool_]) -> Logistic:
    """Maximum likelihood by Newton's steps; a sign that would count against is left out.

    More evidence must never make a pair less likely: such a weight is chance or the labels'
    fault, as when two cartons of one brand count as wrong.
    """
    used = list(range(signs.shape[1]))
    while True:
        columns = np.column_stack([np.ones(len(signs)), signs[:, used]])
        weights = np.zeros(columns.shape[1])
        for _ in range(50):
            probability = 1 / (1 + np.exp(-np.clip(columns @ weights, -30, 30)))
            curve = (columns * (probability * (1 - probability))[:, None]).T @ columns
            slope = columns.T @ (right - probability) - 1e-3 * weights
            weights = weights + np.linalg.solve(curve + 1e-3 * np.eye(len(weights)), slope)
        against = [sign for sign, weight in zip(used, weights[1:], strict=True) if weight < 0]
        if not against:
            break
        used.remove(against[0])
    full = np.zeros(signs.shape[1])
    full[used] = weights[1:]
    return Logistic(round(float(weights[0]), 3), tuple(round(float(weight), 3) for weight in full))


def signs_of(pairs: Pairs, calibration: Calibration) -> Array:
    """``(queries, TOP, signs)``."""
    return np.array(
        [
            [calibration.signs(found, score) for found, score in zip(row, scores, strict=True)]
            for row, scores in zip(pairs.found, pairs.score.tolist(), strict=True)
        ]
    )


def probabilities(model: Logistic, signs: Array) -> Array:
    exponent = np.clip(signs @ np.array(model.weights) + model.bias, -30, 30)
    return np.asarray(1 / (1 + np.exp(-exponent)))


def calibrate(
    start: Calibration,
    made: Pairs,
    cartons: Pairs,
    alike: Sequence[Pairs],
    kept: Calibration | None = None,
) -> Calibration:
    """Fit both models and both limits.

    Args:
        start: what is chosen by hand.
        made: verified pairs of re-shot copies: the right ones are copies.
        cartons: of products: the right ones show the same product, and none is a copy.
        alike: different things in the same surroundings.
        kept: whose models are taken, so that only the limits are fitted.
    """
    groups = [(signs_of(pairs, start), pairs.right) for pairs in (made, cartons)]
    signs = np.concatenate([group.reshape(-1, group.shape[2]) for group, _ in groups])
    same = np.concatenate([right.ravel() for _, right in groups])
    copied = np.concatenate([groups[0][1].ravel(), np.zeros(groups[1][1].size, bool)])
    # Cartons are not used to fit what a copy is, only how certain a verdict has to be.
    copies_alone, right = groups[0]
    copy_model = fit_logistic(copies_alone.reshape(-1, signs.shape[1]), right.ravel())
    models = (kept.same, kept.copy) if kept else (fit_logistic(signs, same), copy_model)
    # A query whose object is not there: all its right candidates taken away. Cartons are the
    # hardest: other sorts of one brand before the same shelf.
    worst = [
        np.where(right, 0, probabilities(models[0], group)).max(axis=1) for group, right in groups
    ]
    others = [
        np.where(pairs.right, 0, probabilities(models[0], signs_of(pairs, start))).max(axis=1)
        for pairs in alike
    ]
    worst.append(np.concatenate(others))
    limits = [float(np.quantile(row, 1 - ABSENT)) for row in worst]
    # Two photos of one carton are not copies, but so similar that calling them so is harmless.
    counted = ~same | copied
    chance = probabilities(models[1], signs)[counted]
    order = np.argsort(-chance)
    precision = np.cumsum(copied[counted][order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(precision >= COPY_PRECISION)
    copy_from = float(chance[order[good[-1]]]) if len(good) else 1.0
    return replace(
        start,
        same=models[0],
        copy=models[1],
        same_from=round(max(limits), 4),
        copy_from=round(copy_from, 4),
    )


def start_of(detector: str, encoder: OnnxEncoder) -> Calibration:
    """Where the calibration of a detector starts."""
    trained = encoder.card.everything.get("local", {}).get("stride") == 8
    return STARTS["trained" if detector == "own" and trained else detector]


def gather(
    name: str, walls: list[Path], start: Calibration, model: str
) -> tuple[str, list[tuple[LabelledSet, Pairs]], Known]:
    """Encode and verify the pairs to fit on; the detector's own name comes first."""
    encoder = load_encoder(model)
    make, scales = DETECTORS[name]
    detector = make(encoder)
    images = Images()
    sets = [copies(images, walls, 0), products(images, "train", 4)]
    contents = [*walls, *(path for path, _ in grocery("train")[7::40])]
    sets += same_surroundings(images, contents, "train", first=0, each=5, per=4).values()
    known = index(images, encoder, None if name == "own" else detector)
    pairs = [(s, verify_set(s, images, known, detector, start, scales)) for s in sets]
    return detector.name, pairs, known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="wallpapers")
    parser.add_argument("--detector", choices=list(DETECTORS), default="own")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument(
        "--models-of",
        help="fit the limits alone, with the models of this calibration: where vectors tell the "
        "pairs apart by themselves, a fit gives no weight to geometry, which proves what they miss",
    )
    parser.add_argument("--output", type=Path, default=FILE)
    options = parser.parse_args()
    start = start_of(options.detector, load_encoder(options.model))
    name, sets, _ = gather(options.detector, wallpapers(options.images), start, options.model)
    made, cartons, *alike = (pairs for _, pairs in sets)
    kept = calibrations()[options.models_of] if options.models_of else None
    calibration = calibrate(start, made, cartons, alike, kept)
    write_calibration(options.output, name, calibration)
    print(name, calibration)


if __name__ == "__main__":
    main()
