"""Evaluate how well a model finds the same thing: by its vectors, ranked exactly, not verified.

    python benchmarks/default_model.py [--model NAME-OR-FILE] [--json FIGURES.json]

It reads the Grocery Store dataset and the scenes beside the repository (``../shared/data``), and
skips what is absent. Grocery's test photos, its product images and the scenes were not used in
making glocal-lite0. The altered copies were: they are made of every eleventh Grocery training
photo. These photos were left out when its projections were fitted, but its settings were chosen on
them.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from glocal.encoders import DEFAULT_MODEL, Encoder, load_encoder
from glocal.evaluate import LabelledResult, evaluate_labelled
from glocal.images import load

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float32]
Labels = list[str]


def vectors_of(encoder: Encoder, images: Sequence[Path | Pixels]) -> Vectors:
    return np.stack(
        [
            encoder.encode([load(image, min_pixels=encoder.card.area).array])[0].vector
            for image in images
        ]
    )


def grocery_split(folder: Path, split: str) -> tuple[list[Path], Labels]:
    with (folder / "dataset" / f"{split}.txt").open(encoding="utf-8") as file:
        rows = [line.split(",") for line in file if line.strip()]
    return [folder / "dataset" / row[0] for row in rows], [row[1].strip() for row in rows]


def grocery_icons(folder: Path) -> tuple[list[Path], Labels]:
    with (folder / "dataset" / "classes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    images = [folder / "dataset" / row["Iconic Image Path (str)"].lstrip("/") for row in rows]
    return images, [row["Class ID (int)"] for row in rows]


def scene_photos(folder: Path) -> tuple[list[Path], Labels]:
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    # A distractor's label is its own, so that as a query it has no answer and is left out.
    labels = [row["instance"] for row in rows]
    own = [f"{x} {n}" if x == "distractor" else x for n, x in enumerate(labels)]
    return [folder / row["path"] for row in rows], own


def cropped(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """A crop of 30 to 60 % of the area, with another aspect ratio."""
    side, stretch = np.sqrt(random.uniform(0.3, 0.6)), np.exp(random.uniform(-0.25, 0.25))
    width = int(image.width * min(side * stretch, 1))
    height = int(image.height * min(side / stretch, 1))
    left = int(random.integers(0, image.width - width + 1))
    top = int(random.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def tilted(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """A view from the side: each corner is moved inwards by up to 18 % of a side."""
    width, height = image.size
    corners = np.array([(0, 0), (0, height), (width, height), (width, 0)], dtype=float)
    inwards = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)]) * (width, height)
    quad = (corners + inwards * random.uniform(0, 0.18, (4, 2))).ravel()
    method = Image.Transform.QUAD
    return image.transform(image.size, method, tuple(quad), Image.Resampling.BICUBIC)


def turned(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Turned by 10 to 25 degrees, without the empty corners."""
    angle = random.choice([-1, 1]) * random.uniform(10, 25)
    width, height = image.size
    box = (int(0.15 * width), int(0.15 * height), int(0.85 * width), int(0.85 * height))
    return image.rotate(angle, Image.Resampling.BICUBIC).crop(box)


def darkened(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """A fifth to two fifths of the light, warmer, with noise."""
    light = np.asarray(image) * random.uniform(0.2, 0.4) * np.array([1.1, 1.0, 0.8])
    noisy = light + random.normal(0, 6, light.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def blurred(image: Image.Image, random: np.random.Generator) -> Image.Image:
    radius = max(image.size) / random.uniform(70, 120)
    return image.filter(ImageFilter.GaussianBlur(radius))


def shrunk(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """About 90 pixels wide, saved as a JPEG of quality 30."""
    small = image.copy()
    small.thumbnail((int(random.integers(72, 111)),) * 2)
    file = BytesIO()
    small.save(file, "JPEG", quality=30)
    return Image.open(file).convert("RGB")


Alteration = Callable[[Image.Image, np.random.Generator], Image.Image]
ALTERATIONS: tuple[Alteration, ...] = (
    cropped,
    tilted,
    turned,
    darkened,
    blurred,
    shrunk,
)


def alteration(number: int, seed: int) -> Alteration:
    """The one whose turn it is at the image with this number."""
    return ALTERATIONS[(number + seed) % len(ALTERATIONS)]


def altered(images: Sequence[Path | Pixels], seed: int) -> list[Pixels]:
    """Each image altered in the way that is its turn."""
    random = np.random.default_rng(seed)
    copies = []
    for number, path in enumerate(images):
        image = Image.fromarray(load(path).array)
        copies.append(np.asarray(alteration(number, seed)(image, random)))
    return copies


def measure(encoder: Encoder, data: Path) -> dict[str, LabelledResult]:
    """Every measurement whose data set is there, by name."""
    results = {}
    grocery, scenes = data / "grocery", data / "scenes"
    shop = np.empty((0, encoder.dim), np.float32)
    shop_labels: Labels = []
    if (grocery / "dataset").is_dir():
        paths, shop_labels = grocery_split(grocery, "test")
        shop = vectors_of(encoder, paths)
        results["Grocery test, photo to photos"] = evaluate_labelled(
            shop, shop_labels, shop, shop_labels, exclude_self=True
        )
        icons, icon_labels = grocery_icons(grocery)
        results["Grocery test, product image to photos"] = evaluate_labelled(
            vectors_of(encoder, icons), icon_labels, shop, shop_labels
        )
        paths, _ = grocery_split(grocery, "train")
        names = [str(path) for path in paths]
        queries = [altered(paths[::11], seed) for seed in range(len(ALTERATIONS))]
        results["Altered copies among Grocery photos"] = evaluate_labelled(
            np.concatenate([vectors_of(encoder, copies) for copies in queries]),
            names[::11] * len(queries),
            vectors_of(encoder, paths),
            names,
        )
    if (scenes / "labels.csv").is_file():
        paths, labels = scene_photos(scenes)
        everything = np.concatenate([vectors_of(encoder, paths), shop])
        all_labels = labels + [f"shop photo {number}" for number in range(len(shop))]
        results["Scenes among Grocery photos"] = evaluate_labelled(
            everything, all_labels, everything, all_labels, exclude_self=True
        )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL, help="bundled name, file or hub name")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    encoder = load_encoder(options.model)
    results = measure(encoder, options.data)
    print(f"Model {encoder.card.name}, version {encoder.card.version}, {encoder.dim} numbers\n")
    print("| data set | queries | mAP | recall@1 | recall@10 |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, result in results.items():
        figures = (result.mean_ap, result.recall_at[1], result.recall_at[10])
        columns = " | ".join(f"{100 * figure:.1f}" for figure in figures)
        print(f"| {name} | {result.queries} | {columns} |")
    if options.json:
        rounded = {
            name: {"mAP": round(result.mean_ap, 3), "recall@1": round(result.recall_at[1], 3)}
            for name, result in results.items()
        }
        options.json.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
