"""Compare local features alone: the same candidates of a vector, ordered by each detector.

    python benchmarks/local_features.py MODEL [MODEL ...] --images FOLDER [--top 12]
        [--precision float]

The candidates of a query are the best by the first model's vector, and are the same for all: XFeat
and the own local features of each model. They are ordered by the sum of the inliers' similarities
alone. ``walks`` is the stand-in of that name (`stand_ins`), on which each detector gets the best of
a few settings; ``scenes`` are the photos of landmarks among each other, and ``cartons`` photos of
Grocery's training split by SKU, which our models have seen, with those settings. Recall@1 orders
the candidates of each query; the average precision orders all pairs of a set, and so says how well
a threshold would tell right ones from wrong ones. Before, what a detector takes for an image of the
gallery, in milliseconds of the processor; of a model's own local features that is the whole
network, which makes the vector.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from default_model import DATA, scene_photos
from glocal.encoders import Detector, EncoderDetector, load_encoder
from glocal.encoders.local_features import QUERY_SCALES, detect_at_scales
from glocal.encoders.xfeat import XFeat
from glocal.ranking.verification import Settings, verify
from stand_ins import walks

XFEAT_SCALES = (1.0, 0.7, 0.5, 0.35, 0.25)
GRID = [Settings(least, pixels / 320) for least in (0.5, 0.65, 0.8) for pixels in (5, 9, 14)]


@dataclass(frozen=True)
class Candidates:
    """Queries, and for each the same candidates of the gallery, as numbers of it."""

    queries: Sequence[Path]
    labels: Sequence[str]
    gallery: Sequence[Path]
    known: Sequence[str]
    best: NDArray[np.intp]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which candidates show what their query shows, in the shape of ``best``."""
        known, asked = np.array(self.known)[self.best], np.array(self.labels)[:, None]
        return np.asarray(known == asked)

    def figures(self, support: NDArray[np.float64]) -> tuple[float, float]:
        """Recall@1, and the average precision over all pairs, of an order of the candidates."""
        first = support.argmax(axis=1)
        recall = float(self.right[np.arange(len(first)), first].mean())
        right = self.right.ravel()[np.argsort(-support.ravel(), kind="stable")]
        precision = np.cumsum(right) / (np.arange(len(right)) + 1)
        return recall, float(precision[right].mean())


def opened(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        image.thumbnail((640, 640))
        return np.asarray(image.convert("RGB"))


def figures(
    made: Candidates,
    images: Mapping[Path, NDArray[np.uint8]],
    detector: Detector,
    settings: Sequence[Settings],
) -> dict[Settings, tuple[float, float]]:
    """Figures of candidates that are ordered by a detector, for each of some settings."""
    scales = QUERY_SCALES if isinstance(detector, EncoderDetector) else XFEAT_SCALES
    used = {made.gallery[number] for number in made.best.ravel().tolist()}
    local = {path: detector.detect(images[path]) for path in used}
    seen = [detect_at_scales(detector, images[path], scales) for path in made.queries]
    size = {path: (image.shape[1], image.shape[0]) for path, image in images.items()}
    found = {}
    for each in settings:
        support = [
            [
                verify(features, local[file], size[query], size[file], each).support
                for file in (made.gallery[number] for number in row)
            ]
            for query, features, row in zip(made.queries, seen, made.best, strict=True)
        ]
        found[each] = made.figures(np.array(support))
    return found


def milliseconds(detector: Detector, images: Sequence[NDArray[np.uint8]]) -> float:
    """Of the processor for an image, in the median; the first ones are slower and not counted."""
    spent = []
    for image in images:
        before = time.process_time()
        detector.detect(image)
        spent.append(time.process_time() - before)
    return 1000 * float(np.median(spent[5:]))


def cartons(data: Path) -> tuple[list[Path], list[str]]:
    """Photos of cartons of Grocery's training split, and their SKUs."""
    listing = json.loads((data / "grocery" / "packages_sku.json").read_text(encoding="utf-8"))
    rows = [row for row in listing["photos"] if row["split"] == "train"]
    photos = [data / "grocery" / "dataset" / row["path"] for row in rows]
    return photos, [row["sku"] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="names or files")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--precision", choices=("float", "int8"))
    parser.add_argument("--top", type=int, default=12, help="candidates of a query")
    options = parser.parse_args()
    frames = walks(options.images)
    second = [frame for frame in frames.queries if isinstance(frame, Path)]  # all are
    photos, labels = scene_photos(options.data / "scenes")
    packed, skus = cartons(options.data)
    sets = {
        "walks": (second, frames.query_labels, frames.gallery, frames.labels),
        "scenes": (photos, labels, photos, labels),
        "cartons": (packed[::4], skus[::4], packed, skus),
    }
    encoders = {model: load_encoder(model, precision=options.precision) for model in options.models}
    detectors: dict[str, Detector] = {m: EncoderDetector(e) for m, e in encoders.items()}
    detectors["xfeat"] = XFeat()
    chosen = dict.fromkeys(detectors, tuple(GRID))
    timed = [opened(path) for path in photos[:60]]
    for key, detector in detectors.items():
        print(f"{Path(key).stem}: {milliseconds(detector, timed):.1f} ms an image", flush=True)
    for name, (queries, asked, gallery, known) in sets.items():
        images = {path: opened(path) for path in {*queries, *gallery}}
        first = encoders[options.models[0]]
        vectors = {path: first.encode([image])[0].vector for path, image in images.items()}
        rows, columns = (np.stack([vectors[p] for p in paths]) for paths in (queries, gallery))
        likeness = rows @ columns.T
        for row, query in enumerate(queries):
            if query in gallery:
                likeness[row, gallery.index(query)] = -2
        best = np.argsort(-likeness, axis=1)[:, : options.top]
        made = Candidates(queries, asked, gallery, known, best)
        near = np.take_along_axis(likeness, best, axis=1)
        recall, precision = made.figures(near.astype(np.float64))
        print(f"{name}: by the vector {recall:.3f}, pairs {precision:.3f}", flush=True)
        for key, detector in detectors.items():
            measured = figures(made, images, detector, chosen[key])
            settings = max(measured, key=lambda each: sum(measured[each]))
            chosen[key] = (settings,)
            recall, precision = measured[settings]
            print(
                f"  {Path(key).stem}: {recall:.3f}, pairs {precision:.3f} ({settings})", flush=True
            )


if __name__ == "__main__":
    main()
