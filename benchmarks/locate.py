"""Measure how right `Gallery.locate` is, by the word with which it names a place.

    python benchmarks/locate.py SCENES GROCERY [--grocery-photos 200] [--queries N]

Each scene of the folder SCENES (with its labels.csv: path, instance) is given a place of its own,
around which its photos lie within some 300 m; photos of Grocery are given four more places. Every
photo of a scene is then located twice: by all others, and by those that were taken elsewhere, where
silence is right and every place is wrong. The places are made, so what is measured is whether
likeness is taken for a place, not how photos are spread in real collections.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from glocal.gallery import Gallery
from glocal.gallery.locating import REACH_KM
from glocal.geography.sphere import distances_km

SHOPS = 4


def sexagesimal(degrees: float) -> tuple[float, float, float]:
    return float(int(abs(degrees))), (abs(degrees) % 1) * 60, 0.0


def write(source: Path, target: Path, place: tuple[float, float]) -> None:
    exif = Image.Exif()
    exif[0x0131] = "benchmark"
    exif.get_ifd(0x8825).update(
        {
            1: "N" if place[0] >= 0 else "S",
            2: sexagesimal(place[0]),
            3: "E" if place[1] >= 0 else "W",
            4: sexagesimal(place[1]),
        }
    )
    with Image.open(source) as image:
        small = image.convert("RGB")
        small.thumbnail((800, 800))
        small.save(target, "JPEG", quality=90, exif=exif)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", type=Path)
    parser.add_argument("grocery", type=Path)
    parser.add_argument("--grocery-photos", type=int, default=200)
    parser.add_argument("--queries", type=int, default=1_000, help="photos of scenes to locate")
    given = parser.parse_args()
    random = np.random.default_rng(0)
    with (given.scenes / "labels.csv").open(encoding="utf-8") as file:
        labels = [row for row in csv.DictReader(file) if row["instance"] != "distractor"]
    names = sorted({row["instance"] for row in labels})
    where = {name: (random.uniform(-60, 60), random.uniform(-180, 180)) for name in names}
    shops = [(random.uniform(-60, 60), random.uniform(-180, 180)) for _ in range(SHOPS)]
    photos = sorted((given.grocery / "train").rglob("*.jpg"))
    chosen = random.permutation(len(photos))[: given.grocery_photos]
    said: dict[str, Counter[str]] = {"all others": Counter(), "elsewhere only": Counter()}
    with tempfile.TemporaryDirectory() as folder, Gallery(Path(folder) / "gallery") as gallery:
        own: list[tuple[Path, str]] = []
        for number, row in enumerate(labels):
            place = np.array(where[row["instance"]]) + random.normal(0, 0.0015, 2)
            target = Path(folder) / f"s{number:04d}.jpg"
            write(given.scenes / row["path"], target, (float(place[0]), float(place[1])))
            own.append((target, row["instance"]))
        for number, at in enumerate(chosen):
            target = Path(folder) / f"g{number:04d}.jpg"
            write(photos[at], target, shops[number % SHOPS])
        gallery.add(*Path(folder).glob("*.jpg"))
        queries = [own[at] for at in random.permutation(len(own))[: given.queries]]
        for path, name in queries:
            latitude, longitude = where[name]
            away = f"not near {latitude},{longitude} within 50 km"
            for title, condition in (("all others", None), ("elsewhere only", away)):
                found = gallery.locate(path, where=condition).places
                if not found:
                    said[title]["silent"] += 1
                    continue
                first = found[0]
                km = distances_km((first.latitude, first.longitude), [where[name]])[0]
                right = "right" if km <= REACH_KM + first.radius_km else "wrong"
                said[title][f"{first.confidence} {right}"] += 1
    for title, counts in said.items():
        print(f"{title}: {len(queries)} photos: {dict(sorted(counts.items()))}")


if __name__ == "__main__":
    main()
