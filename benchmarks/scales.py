"""What vectors gain that are means over several scales of an image.

    python benchmarks/scales.py --images FOLDER [--model NAME-OR-FILE] [--quick]

An image is encoded at several sides of the network's input, and its vector is the mean (as by
Radenović, Tolias and Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", 2019).
FOLDER is what ``scripts/gather_training_images.py`` filled, with the walks of
``scripts/default_model/render_walks.py``; the sets are those of `stand_ins.py` and
`default_model.py`. Printed: recall@1 / mAP of each set for each choice of scales, and, for the
first set, what is found where queries and gallery were encoded at different ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from default_model import DATA, Vectors, grocery_icons, grocery_split
from glocal.encoders import DEFAULT_MODEL, Encoder, load_encoder
from glocal.evaluate import LabelledResult, evaluate_labelled
from glocal.images import load
from measure import arguments, print_table, write_results
from stand_ins import Source, StandIn, stand_ins

SCALES = (0.5, 0.7, 1.0, 1.41)
CHOICES = {
    "1": (1.0,),
    ".7": (0.7,),
    "1.41": (1.41,),
    "1 and .7": (0.7, 1.0),
    "1, .7 and .5": (0.5, 0.7, 1.0),
    "1.41, 1 and .7": (0.7, 1.0, 1.41),
}
SETS = ("walks", "product image", "scenes", "photographed", "unseen copies")


class Scaled:
    """The vectors of images at every scale, made once for each file."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._known: dict[Path, Vectors] = {}

    def _one(self, source: Source) -> Vectors:
        area = self.encoder.card.area
        usual, large = (load(source, min_pixels=pixels).array for pixels in (area, 2 * area))
        return np.stack(
            [
                self.encoder.encode([usual if scale <= 1 else large], scale=scale)[0].vector
                for scale in SCALES
            ]
        )

    def of(self, sources: Sequence[Source]) -> Vectors:
        """``(n, scales, d)``."""
        rows = []
        for source in sources:
            if not isinstance(source, Path):
                rows.append(self._one(source))
                continue
            if source not in self._known:
                self._known[source] = self._one(source)
            rows.append(self._known[source])
        return np.stack(rows)


def mean(vectors: Vectors, scales: Sequence[float]) -> Vectors:
    """The mean over some scales, at unit length: ``(n, d)``."""
    found: Vectors = vectors[:, [SCALES.index(scale) for scale in scales]].mean(axis=1)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def shown(result: LabelledResult) -> str:
    return f"{100 * result.recall_at[1]:.1f} / {100 * result.mean_ap:.1f}"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    options = parser.parse_args()
    known = stand_ins(DATA, options.images, [])
    tasks = {name: known[name] for name in SETS[: 1 if options.quick else None]}
    if not options.quick:
        photos, labels = grocery_split(DATA / "grocery", "test")
        tasks["Grocery's photos"] = StandIn(photos, labels)
        icons, asked = grocery_icons(DATA / "grocery")
        tasks["its product images"] = StandIn(photos, labels, icons, asked)
    scaled = Scaled(load_encoder(options.model))
    rows: list[list[str]] = [[name] for name in CHOICES]
    mixed: list[tuple[str, str, str]] = []
    figures: dict[str, dict[str, str]] = {}
    for name, task in tasks.items():
        gallery = scaled.of(task.gallery)
        queries = scaled.of(task.queries) if task.queries else gallery
        own = task.query_labels if task.queries else task.labels
        for row, scales in zip(rows, CHOICES.values(), strict=True):
            result = evaluate_labelled(
                mean(queries, scales),
                own,
                mean(gallery, scales),
                task.labels,
                exclude_self=not task.queries,
            )
            row.append(shown(result))
            figures.setdefault(row[0], {})[name] = row[-1]
        if not mixed:
            for asked_at, kept_at in (("1 and .7", "1"), ("1", "1 and .7")):
                one, other = CHOICES[asked_at], CHOICES[kept_at]
                result = evaluate_labelled(
                    mean(queries, one), own, mean(gallery, other), task.labels
                )
                mixed.append((asked_at, kept_at, shown(result)))
        print(name, *[row[-1] for row in rows], sep=" | ", flush=True)
    print_table("Means over scales: recall@1 / mAP, per cent", ["sides", *tasks], rows)
    print_table(f"Mixed, {next(iter(tasks))}", ["queries", "gallery", "recall@1 / mAP"], mixed)
    write_results("scales", {"model": options.model, "figures": figures}, quick=options.quick)


if __name__ == "__main__":
    main()
