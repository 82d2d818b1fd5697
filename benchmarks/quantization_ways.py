"""How far vectors in int8 agree with those in float, by ranges and by layers that stay in float.

    python benchmarks/quantization_ways.py --images FOLDER [--count 300] [--quick]

Nothing is trained. FOLDER has images of any kind, some of which choose the ranges; the others are
compared. With training: ``glocal quantize MODEL --images FOLDER --steps 400`` prints the same
figures for what it makes.
"""

from __future__ import annotations

from pathlib import Path
from time import process_time

import numpy as np
import onnx

from glocal.encoders.fit import fit
from glocal.encoders.model_files import DEFAULT_MODEL, find_model
from glocal.encoders.onnx import read_card
from glocal.errors import ImageError
from glocal.images import load
from glocal.learn import quantization
from glocal.learn.collection import read_unlabelled
from glocal.learn.quantization import Plan, Range, open_model, plan, quantised, vectors
from measure import arguments, print_table, write_results

FLOATS = range(5)


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    options = parser.parse_args()
    path = find_model(options.model)
    card = read_card(path)
    if card is None:
        raise SystemExit(f"{path} has no card")
    photos = [sample.path for sample in read_unlabelled(options.images, 0)]
    order = np.random.default_rng(0).permutation(len(photos))
    images = []
    for number in order[: 24 if options.quick else options.count]:
        try:
            images.append(fit(load(photos[number], min_pixels=card.area).array, card))
        except ImageError as error:
            print(f"{photos[number].name} is left out: {error}")
    half = len(images) // 2
    model = onnx.load(str(path))
    least = plan(model, images[:half])
    every = quantization.quantisable(least.model)
    widest = widest_ranges(least, images[:half])
    session = open_model(model)
    truth = vectors(session, images[half:])
    rows = []
    for name, ranges in (("least to largest value", widest), ("least error", least.ranges)):
        for floats in FLOATS:
            nodes = quantization.without_first(least.model, every, floats)
            made = open_model(quantised(Plan(least.model, nodes, ranges, floats)))
            cosines = (vectors(made, images[half:]) * truth).sum(1)
            times = [milliseconds(each, images[half:]) for each in (made, session)]
            row = (name, floats, float(np.median(cosines)), float(cosines.min()))
            rows.append((*row, times[0] / times[1]))
            print(*rows[-1], flush=True)
    columns = ["ranges", "first layers in float", "median", "least", "time, of float's"]
    print_table(f"Cosines of {len(truth)} vectors with float's", columns, rows)
    figures = [dict(zip(columns, row, strict=True)) for row in rows]
    write_results(
        "quantization_ways",
        {"images": len(images), "chosen": least.floats, "ways": figures},
        quick=options.quick,
    )


def widest_ranges(chosen: Plan, images: list[np.ndarray]) -> dict[str, Range]:
    found = quantization.histograms(chosen.model, list(chosen.ranges), images)
    return {name: (low, high) for name, (low, high, _) in found.items()}


def milliseconds(session: object, images: list[np.ndarray]) -> float:
    """The median of the processor's time for a vector."""
    times = []
    for image in images[:40]:
        before = process_time()
        vectors(session, [image])
        times.append(1000 * (process_time() - before))
    return float(np.median(times))


if __name__ == "__main__":
    main()
