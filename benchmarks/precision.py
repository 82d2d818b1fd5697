"""A model and its twin in int8: how far their features agree, what each finds, what each takes.

    python benchmarks/precision.py [--model NAME-OR-FILE] [--photos 1000] [--quick]

Vectors, regions and local features of both are compared on the scenes and on Grocery's test photos,
none of which the twin was made with; then each finds the sets of `default_model.py`, and so do
vectors of which every other one is in int8, as in a gallery that both have filled. The processor
time of an image is measured by turns on one thread. What verification finds in either precision is
told by `verification.py` with ``GLOCAL_PRECISION=float`` or ``int8`` in the environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from default_model import DATA, grocery_split, measure, scene_photos
from glocal.encoders import COARSE, DEFAULT_MODEL, Features, OnnxEncoder, load_encoder
from glocal.encoders.precision import Precision
from glocal.evaluate import LabelledResult
from glocal.images import load
from measure import arguments, print_table, write_results

PAIR: tuple[Precision, Precision] = ("float", "int8")


def features(encoders: Sequence[OnnxEncoder], paths: Sequence[Path]) -> dict[str, Any]:
    """Cosines of the features of both, and the milliseconds of each."""
    vectors, regions, descriptors, shared = [], [], [], []
    spent: list[list[float]] = [[], []]
    for path in paths:
        image = load(path, min_pixels=encoders[0].card.area).array
        found = []
        for encoder, times in zip(encoders, spent, strict=True):
            before = process_time()
            found += encoder.encode([image], regions=COARSE)
            times.append(1000 * (process_time() - before))
        one, two = found
        vectors.append(float(one.vector @ two.vector))
        rows, others = same(one.boxes, two.boxes)
        regions += list((one.regions[rows] * two.regions[others]).sum(1))
        rows, others = same(one.keypoints, two.keypoints)
        shared.append(len(rows) / len(one.keypoints))
        descriptors += list((one.descriptors[rows] * two.descriptors[others]).sum(1))
    return {
        "vectors": quantiles(vectors),
        "regions": quantiles(regions),
        "descriptors": quantiles(descriptors),
        "keypoints shared": float(np.mean(shared)),
        "ms": [float(np.median(times)) for times in spent],
    }


def same(one: NDArray[Any], two: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows of one that two has too, and which they are there."""
    rows, others = np.nonzero((one[:, None] == two[None]).all(2))
    return rows, others


def quantiles(cosines: list[float]) -> dict[str, float]:
    names = ("median", "1 %", "least")
    return dict(zip(names, map(float, np.quantile(cosines, (0.5, 0.01, 0))), strict=True))


class Mixed:
    """Encodes every other image in int8, as when galleries and queries are of both."""

    def __init__(self, encoders: Sequence[OnnxEncoder]) -> None:
        self._turns = cycle(encoders)
        self.card, self.dim = encoders[0].card, encoders[0].dim

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> list[Features]:
        return next(self._turns).encode(images)


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="nothing is written for another")
    parser.add_argument("--photos", type=int, default=1000)
    options = parser.parse_args()
    encoders = [load_encoder(options.model, precision=precision) for precision in PAIR]
    shop, _ = grocery_split(DATA / "grocery", "test")
    scenes, _ = scene_photos(DATA / "scenes")
    count = (60 if options.quick else options.photos) - len(scenes)
    paths = scenes[: 60 if options.quick else None]
    paths += [shop[i * len(shop) // count] for i in range(count)]
    agreement = features(encoders, paths)
    print_table(
        f"Cosines of features in float and in int8, {len(paths)} photos",
        ["", "median", "1 %", "least"],
        [(name, *agreement[name].values()) for name in ("vectors", "regions", "descriptors")],
    )
    in_float, in_int8 = agreement["ms"]
    print(
        f"{100 * agreement['keypoints shared']:.1f} % of keypoints are the same; an image takes "
        f"{in_float:.1f} ms in float and {in_int8:.1f} ms in int8, of the processor, with regions\n"
    )
    figures: dict[str, Any] = {"photos": len(paths), "agreement": agreement}
    if not options.quick:
        sets = {"float": encoders[0], "int8": encoders[1], "every other one": Mixed(encoders)}
        found = {name: measure(encoder, DATA) for name, encoder in sets.items()}  # type: ignore[arg-type]
        rows = [
            (name, *(100 * figure for each in found.values() for figure in at(each[name])))
            for name in found["float"]
        ]
        columns = [f"{name}, {figure}" for name in sets for figure in ("R@1", "mAP")]
        print_table("What vectors find", ["", *columns], rows)
        figures["found"] = {name: dict(zip(columns, row, strict=True)) for name, *row in rows}
    if options.model == DEFAULT_MODEL:
        write_results("precision", figures, quick=options.quick)


def at(result: LabelledResult) -> tuple[float, float]:
    return result.recall_at[1], result.mean_ap


if __name__ == "__main__":
    main()
