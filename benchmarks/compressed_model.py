"""A model beside a smaller one that `glocal compress` made of it: what each finds and takes.

    python benchmarks/compressed_model.py SMALL.onnx [--model NAME-OR-FILE] [--quick]

It reads the test photos and product images of the Grocery Store dataset and the scenes beside the
repository (``../shared/data``), none of which may have been used to teach. Vectors are ranked
exactly, not verified. Time is that of the processor for all features of an image, on one thread and
in float, the models taking turns. The third row is what costs nothing to make: the model itself on
images of fewer pixels, as many fewer as the smaller one is faster. Agreement is the cosine to the
model's vectors, in the median of Grocery's photos. With ``--quick`` every twentieth
photo of Grocery is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from default_model import DATA, Vectors, grocery_icons, grocery_split, scene_photos
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
        image = load(path, min_pixels=encoders[0].card.area).array
        for encoder, times in zip(encoders, spent, strict=True):
            before = process_time()
            encoder.encode([image])
            times.append(1000 * (process_time() - before))
    return [float(np.median(times)) for times in spent]


def vectors_of_each(encoders: list[OnnxEncoder], paths: list[Path]) -> list[Vectors]:
    """Vectors of images by each encoder; an image is read once."""
    rows: list[list[NDArray[np.float32]]] = [[] for _ in encoders]
    for path in paths:
        image = load(path, min_pixels=encoders[0].card.area).array
        for encoder, found in zip(encoders, rows, strict=True):
            found.append(encoder.encode([image])[0].vector)
    return [np.stack(found) for found in rows]


def measured(
    encoders: list[OnnxEncoder], quick: bool
) -> tuple[list[dict[str, LabelledResult]], list[float]]:
    """What each encoder finds in each set, and how its vectors agree with those of the first."""
    paths, labels = grocery_split(DATA / "grocery", "test")
    step = 20 if quick else 1
    paths, labels = paths[::step], labels[::step]
    icons, of_icons = grocery_icons(DATA / "grocery")
    shown, scenes = scene_photos(DATA / "scenes")
    shop, products, places = (vectors_of_each(encoders, each) for each in (paths, icons, shown))
    found = []
    for rows, product, place in zip(shop, products, places, strict=True):
        both = np.concatenate([place, rows])
        of_both = scenes + [f"shop photo {number}" for number in range(len(rows))]
        found.append(
            {
                "Grocery test": evaluate_labelled(rows, labels, rows, labels, exclude_self=True),
                "product images to these": evaluate_labelled(product, of_icons, rows, labels),
                "scenes among these": evaluate_labelled(
                    both, of_both, both, of_both, exclude_self=True
                ),
            }
        )
    agreement = [float(np.median((shop[0] * rows).sum(1))) for rows in shop]
    return found, agreement


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
    ratio = min(1.0, after / before)
    encoders = [*pair, OfFewerPixels(path, ratio)]
    times = milliseconds(encoders, photos)
    model, small = (each.card.name for each in pair)
    names = (model, small, f"{model}, {ratio:.2f} of the pixels")
    sizes = (path.stat().st_size, options.small.stat().st_size, path.stat().st_size)
    rows, figures = [], {}
    found, agreement = measured(encoders, options.quick)
    for name, size, time, agrees, results in zip(
        names, sizes, times, agreement, found, strict=True
    ):
        figures[name] = {"bytes": size, "milliseconds": time, "agreement": agrees} | {
            which: {"recall@1": result.recall_at[1], "mAP": result.mean_ap}
            for which, result in results.items()
        }
        cells = [
            f"{100 * result.recall_at[1]:.1f} / {100 * result.mean_ap:.1f}"
            for result in results.values()
        ]
        rows.append((name, size / 1e6, time, agrees, *cells))
    print_table("Recall@1 / mAP by vectors", ["model", "MB", "ms", "agreement", *found[0]], rows)
    write_results("compressed_model", figures, quick=options.quick)


if __name__ == "__main__":
    main()
