"""Compare local features alone: the same candidates of a vector, ordered by each detector.

    python benchmarks/local_features.py MODEL [MODEL ...] --images FOLDER [--top 12]

The candidates of a query are the best by the first model's vector, and are the same for all: XFeat
and the own local features of each model. They are ordered by the sum of the inliers' similarities
alone. ``walks`` is the stand-in of that name (`stand_ins`), on which each detector gets the best of
a few settings; ``scenes`` are the photos of landmarks among each other, with those settings.
"""

from __future__ import annotations

import argparse
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

    def recall(self, tops: Sequence[int]) -> float:
        """Recall@1 of a choice of one candidate for each query."""
        right = [self.known[i] == label for i, label in zip(tops, self.labels, strict=True)]
        return float(np.mean(right))


def opened(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        image.thumbnail((640, 640))
        return np.asarray(image.convert("RGB"))


def recalls(
    made: Candidates,
    images: Mapping[Path, NDArray[np.uint8]],
    detector: Detector,
    settings: Sequence[Settings],
) -> dict[Settings, float]:
    """Recall@1 of candidates that are ordered by a detector, for each of some settings."""
    scales = QUERY_SCALES if isinstance(detector, EncoderDetector) else XFEAT_SCALES
    local = {path: detector.detect(images[path]) for path in made.gallery}
    seen = [detect_at_scales(detector, images[path], scales) for path in made.queries]
    size = {path: (image.shape[1], image.shape[0]) for path, image in images.items()}
    found = {}
    for each in settings:
        tops = []
        for query, features, row in zip(made.queries, seen, made.best, strict=True):
            files = [made.gallery[number] for number in row]
            support = [
                verify(features, local[file], size[query], size[file], each).support
                for file in files
            ]
            tops.append(int(row[int(np.argmax(support))]))
        found[each] = made.recall(tops)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="names or files")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--top", type=int, default=12, help="candidates of a query")
    options = parser.parse_args()
    frames = walks(options.images)
    second = [frame for frame in frames.queries if isinstance(frame, Path)]  # all are
    photos, labels = scene_photos(options.data / "scenes")
    sets = {
        "walks": (second, frames.query_labels, frames.gallery, frames.labels),
        "scenes": (photos, labels, photos, labels),
    }
    encoders = {model: load_encoder(model) for model in options.models}
    detectors: dict[str, Detector] = {m: EncoderDetector(e) for m, e in encoders.items()}
    detectors["xfeat"] = XFeat()
    chosen = dict.fromkeys(detectors, tuple(GRID))
    for name, (queries, asked, gallery, known) in sets.items():
        images = {path: opened(path) for path in {*queries, *gallery}}
        first = encoders[options.models[0]]
        vectors = {path: first.encode([image])[0].vector for path, image in images.items()}
        rows, columns = (np.stack([vectors[p] for p in paths]) for paths in (queries, gallery))
        likeness = rows @ columns.T
        if queries is gallery:
            np.fill_diagonal(likeness, -2)
        best = np.argsort(-likeness, axis=1)[:, : options.top]
        made = Candidates(queries, asked, gallery, known, best)
        print(f"{name}: by the vector {made.recall(best[:, 0].tolist()):.3f}", flush=True)
        for key, detector in detectors.items():
            figures = recalls(made, images, detector, chosen[key])
            settings = max(figures, key=lambda each: figures[each])
            chosen[key] = (settings,)
            print(f"  {Path(key).stem}: {figures[settings]:.3f} ({settings})", flush=True)


if __name__ == "__main__":
    main()
