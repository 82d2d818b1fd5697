"""Evaluate the default model on stand-ins for real tasks, made of images it was not trained on.

    python benchmarks/stand_ins.py --images FOLDER [--model NAME-OR-FILE ...] [--only NAME ...]
        [--views FOLDER ...] [--json FIGURES.json]

* ``product image`` and ``carton``: Grocery's product images against the test photos of cartons,
  and those photos among each other, by SKU;
* ``scenes``: the scenes among Grocery's test photos;
* ``unseen copies``: images of packages kept aside, in ways that training does not change them,
  among their originals, Grocery's test photos and textures kept aside;
* ``photographed``: the same images, framed on a wall and photographed from aside;
* ``corridor``: frames of 160x120 pixels from rendered rooms, corridors and streets, with textures
  and images kept aside; right is another frame from the same spot;
* ``walks``: a second walk through rendered office corridors among the first one's frames, with lens
  distortion and other light; right is the same spot, spots are 1.3 metres apart;
* ``views``: folders of photos, each of one thing from many sides, among Grocery's test photos.

FOLDER is what ``scripts/gather_training_images.py`` filled; its ``test`` part is used, and
``scripts/render_places.py FOLDER --use test --scenes 40 --size 160 120`` and
``scripts/default_model/render_walks.py FOLDER`` make the frames. What is absent is left out.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from default_model import DATA, Pixels, grocery_split, scene_photos, vectors_of
from glocal.encoders import DEFAULT_MODEL, Encoder, load_encoder
from glocal.evaluate import LabelledResult, evaluate_labelled
from unseen_changes import UNSEEN, photographed

_TEXTURES = ("openarena", "trigger-rally", "crrcsim")
Source = Path | Pixels


@dataclass(frozen=True)
class StandIn:
    """Queries and the gallery in which an image with the same label is right.

    Without queries of its own, every image of the gallery is one, left out of its own ranking;
    labels that no other image has are not used as queries.
    """

    gallery: Sequence[Path]
    labels: Sequence[str]
    queries: Sequence[Source] = ()
    query_labels: Sequence[str] = ()


class Vectors:
    """Every file's vector, made once."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[Path, np.ndarray] = {}

    def of(self, sources: Sequence[Source]) -> np.ndarray:
        rows = []
        for source in sources:
            if not isinstance(source, Path):
                rows.append(vectors_of(self._encoder, [source])[0])
                continue
            if source not in self._known:
                self._known[source] = vectors_of(self._encoder, [source])[0]
            rows.append(self._known[source])
        return np.stack(rows)


def evaluate(stand_in: StandIn, vectors: Vectors) -> LabelledResult:
    gallery = vectors.of(stand_in.gallery)
    if stand_in.queries:
        queries = vectors.of(stand_in.queries)
        return evaluate_labelled(queries, stand_in.query_labels, gallery, stand_in.labels)
    return evaluate_labelled(gallery, stand_in.labels, gallery, stand_in.labels, exclude_self=True)


def cartons(data: Path) -> dict[str, StandIn]:
    folder = data / "grocery" / "dataset"
    listing = json.loads((data / "grocery" / "packages_sku.json").read_text(encoding="utf-8"))
    rows = [row for row in listing["photos"] if row["split"] == "test"]
    photos, skus = [folder / row["path"] for row in rows], [row["sku"] for row in rows]
    icons = [(folder / path, sku) for sku, path in listing["iconic"].items()]
    return {
        "product image": StandIn(photos, skus, [p for p, _ in icons], [s for _, s in icons]),
        "carton": StandIn(photos, skus),
    }


def scenes(data: Path) -> StandIn:
    photos, labels = scene_photos(data / "scenes")
    shop, own = _shop(data)
    return StandIn(photos + shop, labels + own)


def _shop(data: Path) -> tuple[list[Path], list[str]]:
    """Grocery's test photos as distractors: each has a label of its own."""
    paths, _ = grocery_split(data / "grocery", "test")
    return paths, [f"shop photo {number}" for number in range(len(paths))]


def kept_aside(folder: Path) -> tuple[list[Path], list[Path]]:
    """Images, and textures, of the packages that are not trained on; no manual's screenshots."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["use"] == "test" and "/doc/" not in row["source"]
        ]
    flat = [folder / row["path"] for row in rows if not row["package"].startswith(_TEXTURES)]
    surfaces = [folder / row["path"] for row in rows if row["package"].startswith(_TEXTURES)]
    return flat, surfaces


def altered(folder: Path, data: Path) -> dict[str, StandIn]:
    """Copies in unseen ways, and photographs, of the images kept aside."""
    flat, surfaces = kept_aside(folder)
    shop, _ = _shop(data)
    gallery = [*flat, *surfaces, *shop]
    labels = [str(path) for path in gallery]
    rng = np.random.default_rng(3)
    ways = list(UNSEEN.values())
    copies, photos, asked = [], [], []
    for number, path in enumerate(flat):
        image = _opened(path)
        copies += [ways[(number + turn) % len(ways)](image, rng) for turn in (0, 3)]
        beside = [_opened(flat[i]) for i in rng.integers(0, len(flat), 2)]
        photos.append(np.asarray(photographed(image, beside, rng)))
        asked.append(str(path))
    twice = [label for label in asked for _ in range(2)]
    return {
        "unseen copies": StandIn(gallery, labels, [np.asarray(copy) for copy in copies], twice),
        "photographed": StandIn(gallery, labels, photos, asked),
    }


def corridor(folder: Path) -> StandIn:
    with (folder / "places-test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return StandIn([folder / row["path"] for row in rows], [row["label"] for row in rows])


def walks(folder: Path) -> StandIn:
    with (folder / "walks-test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    first, second = ([row for row in rows if row["walk"] == walk] for walk in "01")
    return StandIn(
        [folder / row["path"] for row in first],
        [row["label"] for row in first],
        [folder / row["path"] for row in second],
        [row["label"] for row in second],
    )


def views(folders: Sequence[Path], data: Path) -> StandIn:
    shop, own = _shop(data)
    photos = [
        (path, str(folder))
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in {".jpg", ".jpeg", ".png"}
    ]
    return StandIn([p for p, _ in photos] + shop, [label for _, label in photos] + own)


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def stand_ins(data: Path, folder: Path | None, seen: Sequence[Path]) -> dict[str, StandIn]:
    """Every stand-in whose images are there, by name."""
    found: dict[str, StandIn] = {}
    if (data / "grocery" / "packages_sku.json").is_file():
        found |= cartons(data)
        if (data / "scenes" / "labels.csv").is_file():
            found["scenes"] = scenes(data)
        if seen:
            found["views"] = views(seen, data)
        if folder and (folder / "manifest.csv").is_file():
            found |= altered(folder, data)
    if folder and (folder / "places-test.csv").is_file():
        found["corridor"] = corridor(folder)
    if folder and (folder / "walks-test.csv").is_file():
        found["walks"] = walks(folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", default=[DEFAULT_MODEL], help="names or files")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--images", type=Path, help="folder of gathered images")
    parser.add_argument("--views", type=Path, nargs="+", default=[], help="folders of one thing")
    parser.add_argument("--only", nargs="+", help="names of stand-ins")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    tasks = stand_ins(options.data, options.images, options.views)
    tasks = {name: task for name, task in tasks.items() if name in (options.only or tasks)}
    figures: dict[str, dict[str, dict[str, float]]] = {}
    print("| model | stand-in | queries | recall@1 | mAP |\n| --- | --- | ---: | ---: | ---: |")
    for model in options.model:
        vectors = Vectors(load_encoder(model))
        for name, task in tasks.items():
            result = evaluate(task, vectors)
            row = {"recall@1": result.recall_at[1], "mAP": result.mean_ap}
            figures.setdefault(model, {})[name] = {k: round(v, 4) for k, v in row.items()}
            print(
                f"| {Path(model).stem} | {name} | {result.queries} | {row['recall@1']:.3f} "
                f"| {row['mAP']:.3f} |",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
