"""Cut overlapping views out of large photographs and panoramas, like those of a turning camera.

    python scripts/cut_views.py FOLDER [--debs DEBS] [--packages NAME ...]

FOLDER is the folder that `gather_training_images.py` filled; images for training are read again at
full size from the same packages. A large photograph is divided into cells; each cell is one place,
of which a few views are cut with slightly different positions and distances. Writes
``FOLDER/cut-train/*.jpg`` and ``FOLDER/cut-train.csv`` (path, label); views with one label show
one place.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from gather_training_images import LISTING, fetch, fit_to_learn, images_in, packages
from glocal.learn.augment.geometry import homography

SIDE = 224
# Packages whose large images are photographs, panoramas or paintings.
PHOTOGRAPHIC = (
    "plasma-workspace-wallpapers", "ukui-wallpapers", "lomiri-wallpapers",
    "lomiri-wallpapers-20.04", "sway-backgrounds", "retroarch-assets", "opencv-doc",
    "python3-skimage", "labelme-examples", "tuxpaint-stamps-default", "gcompris-qt-data",
    "stellarium-data", "torcs-data", "supertuxkart-data", "foobillardplus-data", "marble-data",
    "wesnoth-1.16-data", "lebiniou-data",
)  # fmt: skip


def views(
    image: Image.Image, cell: tuple[float, float, float], count: int, rng: np.random.Generator
) -> list[Image.Image]:
    """Cut square views of a cell of an image, given as x and y of its centre and its width."""
    found = []
    for _ in range(count):
        middle = np.array(cell[:2]) + rng.uniform(-0.2, 0.2, 2) * cell[2]
        half = cell[2] * rng.uniform(0.42, 0.68)
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half * (rng.uniform(1, 1.3), 1)
        corners = corners * (1 - rng.uniform(0, 0.22, (4, 2)))
        turn = rng.normal(0, 0.05)
        corners = corners @ np.array([(np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))])
        # Corners outside the image are moved in: photos have no black corners.
        corners = np.clip(corners + middle, 0, np.array(image.size) - 1.0)
        found.append(
            image.transform(
                (SIDE, SIDE),
                Image.Transform.PERSPECTIVE,
                tuple(homography(SIDE, corners)),
                Image.Resampling.BICUBIC,
            )
        )
    return found


def cells(size: tuple[int, int], most: int) -> list[tuple[float, float, float]]:
    """Centres and widths of a grid of square cells of 320 pixels or more."""
    width = max(320.0, (size[0] * size[1] / most) ** 0.5)
    across, down = int(size[0] // width), int(size[1] // width)
    wide, high = size[0] / max(1, across), size[1] / max(1, down)
    grid = [((i + 0.5) * wide, (j + 0.5) * high) for i in range(across) for j in range(down)]
    return [(x, y, min(wide, high)) for x, y in grid]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--debs", type=Path, help="folder of package files")
    parser.add_argument("--packages", nargs="+", default=PHOTOGRAPHIC)
    parser.add_argument("--places", type=int, default=9, help="places per image, at most")
    parser.add_argument("--views", type=int, default=4, help="views per place")
    options = parser.parse_args()
    folder: Path = options.folder
    listed = {p.name: p for p in packages(LISTING)}
    (folder / "cut-train").mkdir(exist_ok=True)
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        kept = {
            (row["package"], row["source"]) for row in csv.DictReader(file) if row["use"] == "train"
        }
    with (folder / "cut-train.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["path", "label"])
        for name in options.packages:
            rng = np.random.default_rng(list(name.encode()))
            deb = fetch(listed[name], options.debs or folder / "debs")
            places = 0
            with tempfile.TemporaryDirectory(dir=folder) as room:
                subprocess.run(["dpkg", "-x", deb, room], check=True)
                for source, data in images_in(Path(room)):
                    if (name, source) not in kept or fit_to_learn(data, source) is None:
                        continue
                    with Image.open(io.BytesIO(data)) as opened:
                        if min(opened.size) < 480 or opened.mode not in {"RGB", "L"}:
                            continue
                        opened.draft("RGB", (1600, 1600))
                        image = opened.convert("RGB")
                    image.thumbnail((2400, 2400), Image.Resampling.BICUBIC, reducing_gap=2.0)
                    stem = re.sub(r"[^A-Za-z0-9]+", "-", Path(source).stem)[-40:]
                    for cell in cells(image.size, options.places):
                        seen = views(image, cell, options.views, rng)
                        if min(float(np.asarray(view).std()) for view in seen) < 22:
                            continue
                        for count, view in enumerate(seen):
                            path = Path("cut-train", f"{name}-{places:04d}-{count}.jpg")
                            view.save(folder / path, "JPEG", quality=90)
                            rows.writerow([path, f"{name}-{stem}/{places:04d}"])
                        places += 1
            file.flush()
            print(f"{name}: {places} places", flush=True)


if __name__ == "__main__":
    main()
