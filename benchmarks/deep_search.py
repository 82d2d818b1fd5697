"""Small things in big pictures: by one vector, by the second look, by MUVERA and by MaxSim.

    python benchmarks/deep_search.py --pictures FOLDER... [--half 1]

Flat things stand small and a little askew in wallpapers, among Grocery's training photos; see
`look_sets`. Settings were chosen on half 0, half 1 reports.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import EncoderParts, LocalParts, load_encoder, parts_at_sizes
from glocal.encoders.local_parts import QUERY_SCALES
from glocal.gallery.deep import DEEP_SCALES
from glocal.gallery.second_look import VERIFIED
from glocal.images import load
from glocal.ranking.calibration import Calibration, calibrations
from glocal.ranking.muvera import FixedEncoding, max_similarities
from glocal.ranking.verification import verify
from look_pairs import Known, index
from look_sets import Pictures, objects, wallpapers

Order = NDArray[np.intp]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, nargs="+", required=True, help="wallpapers")
    parser.add_argument("--half", type=int, choices=(0, 1), default=1)
    parser.add_argument("--scales", type=float, nargs="+", default=DEEP_SCALES)
    options = parser.parse_args()
    encoder = load_encoder()
    detector = EncoderParts(encoder)
    calibration = calibrations()[detector.name]
    pictures = Pictures()
    made = objects(pictures, wallpapers(options.pictures), options.half)
    known = index(pictures, encoder)
    gallery = np.array(list(dict.fromkeys(made.gallery)))
    local = [known.parts(number, calibration).descriptors for number in gallery]
    encoding = FixedEncoding(local[0].shape[1])
    encoded = encoding.encode_documents(local)
    places: dict[str, list[int]] = {}
    spent: dict[str, float] = {}
    for query, truth, junk in zip(made.queries, made.truth, made.junk, strict=True):
        image = load(pictures.sources[query], min_side=320).array
        right = np.isin(gallery, list(truth))
        allowed = ~np.isin(gallery, [*junk, query])
        vector = np.where(allowed, known.vectors[gallery] @ known.vectors[query], -2)
        looks = [
            detector.detect(image, scale=scale).stronger_than(calibration.min_strength)
            for scale in options.scales
        ]
        started = time.perf_counter()
        maxsim = max_similarities([look.descriptors for look in looks], local).max(axis=0)
        spent["MaxSim of all"] = spent.get("MaxSim of all", 0) + time.perf_counter() - started
        fixed = np.max([encoded @ encoding.encode_query(x.descriptors) for x in looks], axis=0)
        by_vector, by_parts = np.argsort(-vector), np.argsort(-np.where(allowed, maxsim, -2))
        by_code = np.argsort(-np.where(allowed, fixed, -2))
        query_parts = parts_at_sizes(detector, image, QUERY_SCALES)
        deep_parts = parts_at_sizes(detector, image, (*QUERY_SCALES, min(options.scales)))
        orders = {
            "vector": by_vector,
            "MUVERA": by_code,
            "MaxSim of all": by_parts,
            "vector, verified": verified(
                query_parts,
                by_vector[:VERIFIED],
                vector,
                gallery,
                known,
                known.sizes[query],
                calibration,
            ),
        }
        orders["deep"] = verified(
            deep_parts, by_parts[:VERIFIED], maxsim, gallery, known, known.sizes[query], calibration
        )
        for name, order in orders.items():
            hit = np.flatnonzero(right[order])
            places.setdefault(name, []).append(int(hit[0]) if len(hit) else len(gallery))
    print(f"{len(made.queries)} queries, {len(gallery)} pictures, sizes {options.scales}")
    print("| way | R@1 | in the first 50 | ms a thousand pictures |\n| --- | ---: | ---: | ---: |")
    for name, found in places.items():
        first, fifty = (100 * np.mean(np.array(found) < n) for n in (1, 50))
        ms = 1e6 * spent[name] / len(made.queries) / len(gallery) if name in spent else 0.0
        print(f"| {name} | {first:.1f} | {fifty:.1f} | {f'{ms:.1f}' if ms else ''} |")


def verified(
    query: LocalParts,
    numbers: Order,
    vector: NDArray[np.float32],
    gallery: Order,
    known: Known,
    size: tuple[int, int],
    calibration: Calibration,
) -> Order:
    query = query.stronger_than(calibration.min_strength)
    excess = []
    for number in numbers:
        picture = int(gallery[number])
        found = verify(
            query,
            known.parts(picture, calibration),
            size,
            known.sizes[picture],
            calibration.settings,
        )
        excess.append(calibration.excess(found))
    return numbers[np.argsort(-calibration.combine(vector[numbers], excess), kind="stable")]


if __name__ == "__main__":
    main()
