"""Encode the images of `verification_sets` and verify each query's best candidates."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import LocalFeatures, OnnxEncoder, detect_at_scales
from glocal.encoders.local_features import QUERY_SCALES, Detector
from glocal.gallery.originals import PIXELS
from glocal.gallery.packed_features import pack, small_image, unpack
from glocal.gallery.small_images import from_jpeg, shrink, to_jpeg
from glocal.gallery.verifier import ALIGNED, VERIFIED, Verified, confirmed, overlap_checked
from glocal.images import load
from glocal.ranking import TOP as RERANKED
from glocal.ranking import Rerank
from glocal.ranking.alignment import LEAST_EXCESS
from glocal.ranking.calibration import Calibration
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.layers import Layers
from glocal.ranking.pixels import confirm
from glocal.ranking.verification import Verification, verify
from verification_sets import Images, LabelledSet, Source

TOP = VERIFIED


@dataclass
class Known:
    """What a gallery would hold of every image; local features are packed bytes."""

    vectors: NDArray[np.float32]
    sizes: list[tuple[int, int]]
    packed: list[bytes]

    def parts(self, number: int, calibration: Calibration) -> LocalFeatures:
        return unpack(self.packed[number]).scored_above(calibration.min_score)


def index(images: Images, encoder: OnnxEncoder, detector: Detector | None = None) -> Known:
    """Every image's vector and local features; by default the encoder's own."""
    known = Known(np.empty((len(images.sources), encoder.dim), np.float32), [], [])
    for number, source in enumerate(images.sources):
        image = load(source, min_side=416 if detector else 320)
        (features,) = encoder.encode([image.array])
        known.vectors[number] = features.vector
        known.sizes.append((image.facts.width, image.facts.height))
        parts = detector.detect(image.array) if detector else features.local
        known.packed.append(pack(parts, to_jpeg(shrink(image.array))))
    return known


@dataclass
class Pairs:
    """A set's queries with their best candidates, by vector or re-ranked, verified.

    Arrays are ``(queries, TOP)``; ``score`` is the vectors', ``rough`` what evidence is added to,
    ``ranked`` has each query's whole ranking as right or wrong, and ``closer`` the evidence of
    those candidates, by number, that the comparison of pixels changed. ``best`` are the
    candidates' numbers among all images.
    """

    score: NDArray[np.float32]
    rough: NDArray[np.float32]
    right: NDArray[np.bool_]
    found: list[list[Verification]]
    ranked: list[NDArray[np.bool_]]
    closer: list[dict[int, Evidence]]
    milliseconds: dict[str, float]
    best: NDArray[np.intp]


def verify_set(
    made: LabelledSet,
    images: Images,
    known: Known,
    detector: Detector,
    calibration: Calibration,
    scales: Sequence[float] = QUERY_SCALES,
    rerank: Rerank | None = None,
) -> Pairs:
    score, rough, right, found, ranked, close, places = [], [], [], [], [], [], []
    spent = {"features": 0.0, "verify": 0.0, "pixels": 0.0}
    gallery = np.array(list(dict.fromkeys(made.gallery)))
    for query, truth, junk in zip(made.queries, made.truth, made.junk, strict=True):
        allowed = gallery[~np.isin(gallery, [*junk, query])]
        likeness = known.vectors[allowed] @ known.vectors[query]
        order = np.argsort(-likeness, kind="stable")
        rough.append(likeness[order[:TOP]])
        if rerank is not None:
            top = order[:RERANKED]
            again = rerank(known.vectors[query], known.vectors[allowed[top]])
            order[:RERANKED] = top[np.argsort(-again, kind="stable")]
        best = allowed[order[:TOP]]
        image = load(images.sources[query], min_side=416).array
        started = time.perf_counter()
        parts = detect_at_scales(detector, image, scales).scored_above(calibration.min_score)
        spent["features"] += time.perf_counter() - started
        started = time.perf_counter()
        found.append(
            [
                verify(
                    parts,
                    known.parts(number, calibration),
                    known.sizes[query],
                    known.sizes[number],
                    calibration.settings,
                )
                for number in best
            ]
        )
        spent["verify"] += time.perf_counter() - started
        score.append(likeness[order[:TOP]])
        started = time.perf_counter()
        seen: dict[int, Evidence] = {}
        layers = Layers(shrink(image).astype(np.float32))
        excess = np.array([calibration.excess(one) for one in found[-1]])
        evidence = [
            calibration.evaluate(one, float(likeness))
            for one, likeness in zip(found[-1], score[-1], strict=True)
        ]
        for place in np.argsort(-calibration.combine(rough[-1], excess), kind="stable").tolist():
            first = Verified(evidence[place], found[-1][place])
            if len(seen) < ALIGNED and excess[place] >= LEAST_EXCESS:
                number = best[place]
                seen[place] = confirmed(
                    first,
                    image,
                    layers,
                    parts,
                    partial(_pixels, images.sources[number]),
                    known.packed[number],
                    known.sizes[number],
                ).evidence
            elif first.evidence.verdict is Verdict.COPY:  # what was not compared is no copy
                seen[place] = confirm(first.evidence, None)
        close.append(seen)
        spent["pixels"] += time.perf_counter() - started
        places.append(best)
        right.append(np.isin(best, list(truth)))
        ranked.append(np.isin(allowed[order], list(truth)))
    each = {stage: 1000 * seconds / len(made.queries) for stage, seconds in spent.items()}
    return Pairs(
        np.array(score),
        np.array(rough),
        np.array(right),
        found,
        ranked,
        close,
        each,
        np.array(places),
    )


def between(
    made: LabelledSet, pairs: Pairs, known: Known, calibration: Calibration
) -> list[list[Evidence]]:
    """The evidence of every pair as a search gives it, what lies between the points included."""
    judged: list[list[Evidence]] = []
    for row, query in enumerate(made.queries):
        small = _small(known, query)
        judged.append([])
        for place, number in enumerate(pairs.best[row].tolist()):
            found, score = pairs.found[row][place], float(pairs.score[row, place])
            evidence = pairs.closer[row].get(place) or calibration.evaluate(found, score)
            each = Verified(evidence, found)
            if small is not None:
                each = overlap_checked(each, small, known.packed[number], calibration)
            judged[-1].append(each.evidence)
    return judged


def _small(known: Known, number: int) -> NDArray[np.uint8] | None:
    small = from_jpeg(small_image(known.packed[number]))
    return None if small is None else small.astype(np.uint8)


def _pixels(source: Source) -> NDArray[np.uint8]:
    """An image's file, as a search reads it to compare pixels."""
    return load(source, min_pixels=PIXELS).array


def recall_and_map(pairs: Pairs, new_score: NDArray[np.floating]) -> tuple[float, float]:
    """Recall@1 and mAP, in percent, when the verified candidates are put in a new order."""
    first, precision = [], []
    for ranked, right, score in zip(pairs.ranked, pairs.right, new_score, strict=True):
        after = ranked.copy()
        after[: len(score)] = right[np.argsort(-score, kind="stable")]
        places = np.flatnonzero(after)
        first.append(after[0])
        hits = np.arange(1, len(places) + 1) / (places + 1)
        precision.append(hits.mean() if len(places) else 0.0)
    return 100 * float(np.mean(first)), 100 * float(np.mean(precision))
