"""How far, and by which filter, small images should be enlarged for the network.

    python benchmarks/enlarging.py --images FOLDER [--model NAME-OR-FILE] [--quick] [--kept]

Images that have fewer pixels than the network's input are enlarged to it by `glocal.encoders.fit`.
Here other filters, and inputs of other sizes, take its place:

* ``walks``: a second walk through rendered corridors among the first, all of 160x120 pixels
  (``scripts/default_model/render_walks.py FOLDER`` makes them);
* ``shelves``: every eighth of Grocery's training photos, shrunk to as many pixels as 160x120,
  among all others as they are; right is the same class;
* with ``--kept``, which nothing is to be chosen by, ``scenes``: every second scene, shrunk
  likewise, among the others as they are.

Printed: recall@1 and mAP for each filter and size of the input, 1 being the model's own side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from default_model import DATA, Pixels, Vectors, grocery_split, scene_photos
from glocal.encoders import DEFAULT_MODEL, Encoder, load_encoder
from glocal.encoders.fit import input_size
from glocal.evaluate import evaluate_labelled
from glocal.images import load
from measure import arguments, print_table, write_results
from stand_ins import StandIn, walks

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
SCALES = (0.5, 0.7, 1.0, 1.3)
FEW = 160 * 120


def shrunk(image: Pixels) -> Pixels:
    """An image with about as many pixels as 160x120."""
    height, width = image.shape[:2]
    factor = (FEW / (height * width)) ** 0.5
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))


def vectors_of(
    encoder: Encoder, images: Sequence[Pixels], scale: float, how: Image.Resampling
) -> Vectors:
    """Vectors of small images that are enlarged in one of the ways."""
    card = replace(encoder.card, area=round(encoder.card.area * scale**2))
    rows = []
    for image in images:
        size = input_size(image.shape[1], image.shape[0], card)
        enlarged = np.asarray(Image.fromarray(image).resize(size, how))
        rows.append(encoder.encode([enlarged], scale=scale)[0].vector)
    return np.stack(rows)


def shelves() -> StandIn:
    paths, labels = grocery_split(DATA / "grocery", "train")
    asked = range(0, len(paths), 8)
    rest = [number for number in range(len(paths)) if number % 8]
    return StandIn(
        [paths[number] for number in rest],
        [labels[number] for number in rest],
        [paths[number] for number in asked],
        [labels[number] for number in asked],
    )


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of gathered images")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--kept", action="store_true", help="also what nothing is chosen by")
    options = parser.parse_args()
    encoder = load_encoder(options.model)

    def read(paths: Sequence[Path | Pixels]) -> list[Pixels]:
        return [load(path, min_pixels=encoder.card.area).array for path in paths]

    sets: dict[str, tuple[StandIn, list[Pixels], list[Pixels] | None]] = {}
    found = walks(options.images)
    sets["walks"] = found, read(found.queries), read(found.gallery)
    if not options.quick:
        found = shelves()
        sets["shelves"] = found, [shrunk(image) for image in read(found.queries)], None
    if options.kept:
        photos, labels = scene_photos(DATA / "scenes")
        found = StandIn(photos[1::2], labels[1::2], photos[::2], labels[::2])
        sets["scenes"] = found, [shrunk(image) for image in read(found.queries)], None
    rows, figures = [], {}
    for name, (task, queries, small_gallery) in sets.items():
        whole: Vectors | None = None
        if small_gallery is None:
            whole = np.stack([encoder.encode([image])[0].vector for image in read(task.gallery)])
        for scale in SCALES:
            for filter_name, how in FILTERS.items():
                asked = vectors_of(encoder, queries, scale, how)
                gallery = whole
                if gallery is None:
                    gallery = vectors_of(encoder, small_gallery or [], scale, how)
                labels = list(task.query_labels)
                result = evaluate_labelled(asked, labels, gallery, task.labels)
                figure = {"recall@1": result.recall_at[1], "mAP": result.mean_ap}
                figures[f"{name}, {filter_name}, {scale:g}"] = figure
                rows.append((name, filter_name, scale, 100 * figure["recall@1"],
                             100 * figure["mAP"]))  # fmt: skip
                print(*rows[-1], flush=True)
    print_table("Small images, enlarged", ["set", "filter", "side", "recall@1", "mAP"], rows)
    found_all = {"model": options.model, "figures": figures}
    write_results("enlarging", found_all, quick=options.quick)


if __name__ == "__main__":
    main()
