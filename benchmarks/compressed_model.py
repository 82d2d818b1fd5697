"""A model beside a smaller one that `glocal compress` made of it: what each finds and takes.

    python benchmarks/compressed_model.py SMALL.onnx [--model NAME-OR-FILE] [--quick]

The sets are those of `default_model.py`. Time is that of the processor for all features of an
image, on one thread and in float, the models taking turns. The third row is what costs nothing to
make: the model itself on images of fewer pixels, about as many fewer as the smaller one is faster.
With ``--quick`` only every tenth photo of two sets is searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from default_model import DATA, grocery_split, measure, scene_photos, vectors_of
from glocal.encoders import DEFAULT_MODEL, Features, OnnxEncoder
from glocal.encoders.model_files import find_model
from glocal.evaluate import LabelledResult, evaluate_labelled
from glocal.images import load
from measure import arguments, print_table, write_results

TIMED = 60


class OfFewerPixels(OnnxEncoder):
    """A model that is shown images of a share of the pixels that its card says."""

    def __init__(self, path: Path, share: float) -> None:
        super().__init__(path, precision="float")
        self._scale = share**0.5

    def encode(self, images: Sequence[NDArray[np.uint8]], **more: Any) -> list[Features]:
        return super().encode(images, scale=self._scale, **more)


def milliseconds(encoders: list[OnnxEncoder], paths: list[Path]) -> list[float]:
    spent: list[list[float]] = [[] for _ in encoders]
    for path in paths:
        for encoder, times in zip(encoders, spent, strict=True):
            image = load(path, min_pixels=encoder.card.area).array
            before = process_time()
            encoder.encode([image])
            times.append(1000 * (process_time() - before))
    return [float(np.median(times)) for times in spent]


def few(encoder: OnnxEncoder) -> dict[str, LabelledResult]:
    found = {}
    for name, (paths, labels) in (
        ("Grocery test", grocery_split(DATA / "grocery", "test")),
        ("scenes", scene_photos(DATA / "scenes")),
    ):
        step = 10 if name == "Grocery test" else 1
        rows, kept = vectors_of(encoder, paths[::step]), labels[::step]
        found[name] = evaluate_labelled(rows, kept, rows, kept, exclude_self=True)
    return found


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("small", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    options = parser.parse_args()
    path = find_model(options.model)
    shop, _ = grocery_split(DATA / "grocery", "test")
    photos = shop[:: len(shop) // TIMED]
    pair = [OnnxEncoder(each, precision="float") for each in (path, options.small)]
    before, after = milliseconds(pair, photos)
    ratio = after / before
    encoders = [*pair, OfFewerPixels(path, ratio)]
    times = milliseconds(encoders, photos)
    names = (
        pair[0].card.name,
        pair[1].card.name,
        f"{pair[0].card.name}, {ratio:.2f} of the pixels",
    )
    sizes = (path.stat().st_size, options.small.stat().st_size, path.stat().st_size)
    rows, figures = [], {}
    for name, encoder, size, time in zip(names, encoders, sizes, times, strict=True):
        found = few(encoder) if options.quick else measure(encoder, DATA)
        figures[name] = {"bytes": size, "milliseconds": time} | {
            which: {"recall@1": result.recall_at[1], "mAP": result.mean_ap}
            for which, result in found.items()
        }
        cells = [
            f"{100 * result.recall_at[1]:.1f} / {100 * result.mean_ap:.1f}"
            for result in found.values()
        ]
        rows.append((name, size / 1e6, time, *cells))
        columns = ["model", "MB", "ms", *found]
        print(*rows[-1], flush=True)
    print_table("Recall@1 / mAP by vectors", columns, rows)
    write_results("compressed_model", figures, quick=options.quick)


if __name__ == "__main__":
    main()
