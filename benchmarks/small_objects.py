"""Find small things in large images: by one vector, verified, by MUVERA and by MaxSim.

    python benchmarks/small_objects.py --images FOLDER... [--half 1]

Flat things are pasted small and slightly tilted into wallpapers, among Grocery's training photos;
see `verification_sets`. Settings were chosen on half 0; report half 1.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import EncoderDetector, LocalFeatures, detect_at_scales, load_encoder
from glocal.encoders.local_features import QUERY_SCALES
from glocal.gallery.packed_features import FEW, best_of
from glocal.gallery.small_objects import SMALL_OBJECT_SCALES
from glocal.gallery.verifier import VERIFIED
from glocal.images import load
from glocal.ranking.calibration import Calibration, calibrations
from glocal.ranking.maxsim import max_similarities
from glocal.ranking.muvera import FixedEncoding
from glocal.ranking.verification import verify
from verification_pairs import Known, index
from verification_sets import Images, objects, wallpapers

Order = NDArray[np.intp]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="wallpapers")
    parser.add_argument("--half", type=int, choices=(0, 1), default=1)
    parser.add_argument("--scales", type=float, nargs="+", default=SMALL_OBJECT_SCALES)
    options = parser.parse_args()
    encoder = load_encoder()
    detector = EncoderDetector(encoder)
    calibration = calibrations()[detector.name]
    images = Images()
    made = objects(images, wallpapers(options.images), options.half)
    known = index(images, encoder)
    gallery = np.array(list(dict.fromkeys(made.gallery)))
    few = [best_of(known.parts(number, calibration), FEW) for number in gallery]
    local = [each.descriptors for each in few]
    encoding = FixedEncoding(local[0].shape[1])
    encoded = encoding.encode_documents(local)
    places: dict[str, list[int]] = {}
    spent: dict[str, float] = {}
    for query, truth, junk in zip(made.queries, made.truth, made.junk, strict=True):
        image = load(images.sources[query], min_side=320).array
        right = np.isin(gallery, list(truth))
        allowed = ~np.isin(gallery, [*junk, query])
        vector = np.where(allowed, known.vectors[gallery] @ known.vectors[query], -2)
        scaled = [
            best_of(detector.detect(image, scale=scale).scored_above(calibration.min_score), FEW)
            for scale in options.scales
        ]
        started = time.perf_counter()
        maxsim = max_similarities([one.descriptors for one in scaled], local).max(axis=0)
        spent["MaxSim of all"] = spent.get("MaxSim of all", 0) + time.perf_counter() - started
        fixed = np.max([encoded @ encoding.encode_query(x.descriptors) for x in scaled], axis=0)
        by_vector, by_parts = np.argsort(-vector), np.argsort(-np.where(allowed, maxsim, -2))
        by_code = np.argsort(-np.where(allowed, fixed, -2))
        query_features = detect_at_scales(detector, image, QUERY_SCALES)
        deep_parts = detect_at_scales(detector, image, (*QUERY_SCALES, min(options.scales)))
        orders = {
            "vector": by_vector,
            "MUVERA": by_code,
            "MaxSim of all": by_parts,
            "vector, verified": verified(
                query_features,
                by_vector[:VERIFIED],
                vector,
                gallery,
                known,
                known.sizes[query],
                calibration,
            ),
        }
        orders["deep"] = verified(
            deep_parts,
            by_parts[:VERIFIED],
            maxsim,
            gallery,
            known,
            known.sizes[query],
            calibration,
            few=True,
        )
        for name, order in orders.items():
            hit = np.flatnonzero(right[order])
            places.setdefault(name, []).append(int(hit[0]) if len(hit) else len(gallery))
    print(f"{len(made.queries)} queries, {len(gallery)} images, sizes {options.scales}")
    print("| way | R@1 | in the first 50 | ms a thousand images |\n| --- | ---: | ---: | ---: |")
    for name, found in places.items():
        first, fifty = (100 * np.mean(np.array(found) < n) for n in (1, 50))
        ms = 1e6 * spent[name] / len(made.queries) / len(gallery) if name in spent else 0.0
        print(f"| {name} | {first:.1f} | {fifty:.1f} | {f'{ms:.1f}' if ms else ''} |")


def verified(
    query: LocalFeatures,
    numbers: Order,
    vector: NDArray[np.float32],
    gallery: Order,
    known: Known,
    size: tuple[int, int],
    calibration: Calibration,
    *,
    few: bool = False,
) -> Order:
    query = query.scored_above(calibration.min_score)
    excess = []
    for number in numbers:
        image = int(gallery[number])
        local = known.parts(image, calibration)
        if few:
            local = best_of(local, FEW)
        found = verify(
            query,
            local,
            size,
            known.sizes[image],
            calibration.settings,
        )
        excess.append(calibration.excess(found))
    return numbers[np.argsort(-calibration.combine(vector[numbers], excess), kind="stable")]


if __name__ == "__main__":
    main()
