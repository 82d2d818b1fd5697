"""Measure geometric verification of the best 50: recall@1, mAP, verdicts and milliseconds.

    python benchmarks/verification.py --images FOLDER... [--views FOLDER...] [--street FOLDER]
        [--detector own|xfeat|sift] [--rerank NAME] [--model NAME-OR-FILE] [--scenes]

The folders are described in `verification_sets`; what is not named or absent is skipped. With
``--scenes`` only the scenes are verified. Sets named "1" are made of originals that the calibration
was not fitted on, those named "0" of the others.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibrate_verification import DETECTORS, start_of
from glocal.encoders import DEFAULT_MODEL, load_encoder
from glocal.ranking.calibration import FILE, Calibration, calibrations
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.reranking import LOCAL
from glocal.registry import load, names
from verification_pairs import Pairs, index, recall_and_map, verify_set
from verification_sets import (
    DATA,
    Images,
    LabelledSet,
    copies,
    objects,
    products,
    scenes,
    street,
    views,
    wallpapers,
)


def every_set(images: Images, options: argparse.Namespace) -> list[LabelledSet]:
    if options.scenes:
        return [scenes(images), scenes(images, court=True)]
    made = []
    walls = wallpapers(options.images or [])
    if (DATA / "grocery").is_dir():
        for half in (0, 1):
            made.append(copies(images, walls, half))
            if walls:
                made.append(objects(images, walls, half))
        made += [products(images, "train", 4), products(images, "test", 3)]
        if options.views:
            made.append(views(images, options.views))
        if options.street:
            made.append(street(images, options.street))
        if (DATA / "scenes").is_dir():
            made += [scenes(images), scenes(images, court=True)]
    return made


def evaluated(pairs: Pairs, calibration: Calibration) -> list[list[Evidence]]:
    return [
        [
            closer.get(place) or calibration.evaluate(found, score)
            for place, (found, score) in enumerate(zip(row, scores, strict=True))
        ]
        for row, scores, closer in zip(pairs.found, pairs.score.tolist(), pairs.closer, strict=True)
    ]


def is_same(evidence: list[list[Evidence]], *, copies_only: bool) -> NDArray[np.bool_]:
    meant = {Verdict.COPY} if copies_only else {Verdict.COPY, Verdict.SAME_OBJECT}
    return np.array([[one.verdict in meant for one in row] for row in evidence])


def above_false(value: NDArray[np.floating], right: NDArray[np.bool_]) -> float:
    """The share of true pairs above 99 % of the false ones, in percent."""
    return 100 * float(np.mean(value[right] > np.quantile(value[~right], 0.99)))


def report(made: LabelledSet, pairs: Pairs, calibration: Calibration) -> str:
    excess = np.array([[calibration.excess(found) for found in row] for row in pairs.found])
    before = recall_and_map(pairs, pairs.rough)
    after = recall_and_map(pairs, calibration.combine(pairs.rough, excess))
    evidence = evaluated(pairs, calibration)
    same = is_same(evidence, copies_only=False)
    copied = is_same(evidence, copies_only=True)
    chance = np.array([[one.same_probability for one in row] for row in evidence])
    absent = 100 * float((same & ~pairs.right).any(axis=1).mean())
    cells = [
        made.name,
        str(len(made.queries)),
        "{:.1f} / {:.1f}".format(*before),
        "{:.1f} / {:.1f}".format(*after),
        f"{100 * pairs.right.any(axis=1).mean():.1f}",
        f"{above_false(pairs.score, pairs.right):.0f}",
        f"{above_false(chance, pairs.right):.0f}",
        _precision_recall(same, pairs.right),
        _precision_recall(copied, pairs.right) if made.name.startswith("copies") else "-",
        f"{absent:.1f}",
        "{features:.0f} + {verify:.0f} + {pixels:.0f}".format(**pairs.milliseconds),
    ]
    return "| " + " | ".join(cells) + " |"


def _precision_recall(said: NDArray[np.bool_], right: NDArray[np.bool_]) -> str:
    precision = f"{(said & right).sum() / said.sum():.3f}" if said.any() else "-"
    return f"{precision} / {(said & right).sum() / max(right.sum(), 1):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, nargs="+", help="wallpapers")
    parser.add_argument("--views", type=Path, nargs="+")
    parser.add_argument("--street", type=Path)
    parser.add_argument("--scenes", action="store_true", help="verify only the scenes")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--detector", choices=list(DETECTORS), default="own")
    parser.add_argument("--calibration", type=Path, default=FILE)
    parser.add_argument(
        "--rerank", choices=names("reranker", without=LOCAL), help="re-rank by neighbours first"
    )
    options = parser.parse_args()
    encoder = load_encoder(options.model)
    rerank = load("reranker", options.rerank) if options.rerank else None
    make, scales = DETECTORS[options.detector]
    detector = make(encoder)
    calibration = calibrations(options.calibration).get(
        detector.name, start_of(options.detector, encoder)
    )
    images = Images()
    made = every_set(images, options)
    known = index(images, encoder, None if options.detector == "own" else detector)
    print(f"{max(map(len, known.packed))} bytes of local features an image at most")
    print(
        "| set | queries | before R@1 / mAP | verified | best 50 hold it | true above 99 % of "
        "false: vector | probability | same: precision / recall | copy | absent answered % | "
        "ms: query's local features + 50 verified + pixels |"
    )
    print("| --- |" + " ---: |" * 10)
    for one in made:
        pairs = verify_set(one, images, known, detector, calibration, scales, rerank)
        print(report(one, pairs, calibration), flush=True)


if __name__ == "__main__":
    main()
