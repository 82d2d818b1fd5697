"""Does a search say found where the thing is there, and no match where it is not?

    python benchmarks/found.py --contents FOLDER... [--images FOLDER...] [--share SHARE]
                               [--every N] [--detector NAME] [--model NAME]

Every query is searched for twice: as it is, and with all that shows the same thing taken out. The
second must not be found. Of the first, those are counted whose best hit shows the thing; how many
of these are said to be found? "Before" is the rule without `glocal.ranking.agreement`, in which
any verdict from points counts.

CONTENTS holds images that no setting was chosen on, of which things in the same surroundings are
made (see `surroundings`); the figures in docs/decisions.md use the photos and paintings in Debian
12's gcompris-qt-data. IMAGES holds wallpapers, see `verification_sets`, for altered copies.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from calibrate_verification import DETECTORS
from found_sets import all_images, half_crops, product_pictures, same_surroundings, thinned
from glocal.encoders import DEFAULT_MODEL, load_encoder
from glocal.ranking import DEFAULT_RERANKING
from glocal.ranking.calibration import Calibration, calibrations
from glocal.ranking.evidence import Evidence
from glocal.registry import load
from measure import arguments, print_table, print_targets, write_results
from verification_pairs import Known, Pairs, between, index, verify_set
from verification_sets import Images, LabelledSet, copies, products, scenes, wallpapers


def every_set(
    contents: list[Path], walls: list[Path], share: float, every: int = 1, *, quick: bool
) -> tuple[Images, list[LabelledSet]]:
    """The sets, none of whose images a setting was chosen on; each ``every``-th query of each."""
    images = Images()
    sets = [products(images, "test", 60 if quick else 6)]
    each, per = (1, 2) if quick else (5, 4)
    kinds = same_surroundings(images, contents, "test", first=1000, each=each, per=per)
    sets += kinds.values()
    sets.append(half_crops(images, "test", 500 if quick else 50))
    if walls:
        sets.append(copies(images, walls, 1))
    if not quick:
        sets += [product_pictures(images), scenes(images, court=True)]
    for made in sets:
        made.queries[:] = made.queries[::every]
        made.truth[:], made.junk[:] = made.truth[::every], made.junk[::every]
    return thinned(images, sets, share)


def figures(
    made: LabelledSet, pairs: Pairs, known: Known, calibration: Calibration
) -> dict[str, Any]:
    """What one set's queries are told, before and after."""
    before = [
        [
            closer.get(place) or calibration.evaluate(found, float(score))
            for place, (found, score) in enumerate(zip(row, scores, strict=True))
        ]
        for row, scores, closer in zip(pairs.found, pairs.score, pairs.closer, strict=True)
    ]
    after = between(made, pairs, known, calibration)
    excess = np.array([[calibration.excess(found) for found in row] for row in pairs.found])
    combined = calibration.combine(pairs.rough, excess)
    told: dict[str, Any] = {"queries": len(made.queries)}
    for name, evidence in (("before", before), ("after", after)):
        match = np.array([[each.verdict.is_match for each in row] for row in evidence])
        # Matches come first since they are told from the others; before, they did not.
        order = np.argsort(-combined - (10 * match if name == "after" else 0), kind="stable")
        first = np.take_along_axis(pairs.right, order, axis=1)[:, 0]
        told[name] = {
            "absent_found": float((match & ~pairs.right).any(axis=1).mean()),
            "found_first": int(first.sum()),
            "said_found": int((first & (match & pairs.right).any(axis=1)).sum()),
        }
    told["wrong"] = _wrong(pairs, after)
    return told


def _wrong(pairs: Pairs, evidence: list[list[Evidence]]) -> list[list[int]]:
    """The rows of queries with a wrong match, each with the number of the first."""
    wrong = []
    for row, verdicts in enumerate(evidence):
        for place, each in enumerate(verdicts):
            if each.verdict.is_match and not pairs.right[row][place]:
                wrong.append([row, int(pairs.best[row][place])])
                break
    return wrong


def report(
    told: dict[str, dict[str, Any]],
    *,
    model: str,
    detector: str,
    share: float,
    every: int,
    seconds: float,
    quick: bool,
) -> None:
    """Print and write what was measured."""
    rows = []
    for name, each in told.items():
        cells: list[object] = [name, each["queries"]]
        both = each["before"], each["after"]
        cells += [f"{100 * when['absent_found']:.1f} %" for when in both]
        cells += [f"{when['said_found']} of {when['found_first']}" for when in both]
        rows.append(cells)
    columns = ["set", "queries", "absent, said found: before", "after"]
    columns += ["found first, and said so: before", "after"]
    print_table("Found, or no match", columns, rows)
    queries = np.array([each["queries"] for each in told.values()])
    absent = np.array([each["after"]["absent_found"] for each in told.values()])
    reached = {"absent_found": float((absent * queries).sum() / queries.sum())}
    evaluated = print_targets(reached, [("absent_found", "<=", 0.01)])
    run = {"share_of_distractors": share, "every": every, "cpu_seconds": seconds}
    print(run)
    name = "found" if detector == "own" else f"found_{detector}"
    if model == DEFAULT_MODEL:
        write_results(name, run | {"sets": told, "targets": evaluated}, quick=quick)


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--contents", type=Path, nargs="+", required=True)
    parser.add_argument("--images", type=Path, nargs="+", default=[], help="wallpapers")
    parser.add_argument("--share", type=float, default=1.0, help="of the distractors")
    parser.add_argument("--every", type=int, default=1, help="only each N-th query of each set")
    parser.add_argument("--detector", choices=list(DETECTORS), default="own")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="nothing is written for another")
    options = parser.parse_args()
    contents, walls = all_images(options.contents), wallpapers(options.images)
    images, sets = every_set(contents, walls, options.share, options.every, quick=options.quick)
    encoder = load_encoder(options.model)
    make, scales = DETECTORS[options.detector]
    detector = make(encoder)
    calibration = calibrations()[detector.name]
    known = index(images, encoder, None if options.detector == "own" else detector)
    rerank = load("reranker", DEFAULT_RERANKING)
    told = {}
    for made in sets:
        pairs = verify_set(made, images, known, detector, calibration, scales, rerank)
        told[made.name] = figures(made, pairs, known, calibration)
        print(made.name, told[made.name], flush=True)
    report(
        told,
        model=options.model,
        detector=options.detector,
        share=options.share,
        every=options.every,
        seconds=time.process_time(),
        quick=options.quick,
    )


if __name__ == "__main__":
    main()
