"""Render views of artificial places with gathered images, to train or to evaluate models.

    python scripts/render_places.py FOLDER [--use train] [--scenes 300] [--size 256 192]

FOLDER is the folder that `gather_training_images.py` filled. Textures of games are used for walls
and floors, all other images hang on walls. Writes ``FOLDER/places-USE/SCENE/*.jpg`` and
``FOLDER/places-USE.csv`` (path, label): views with one label show one place. Labels are
``SCENE/PLACE``; places of one scene look similar, which makes them hard to tell apart. A scene that
is already in the file is not rendered again.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gather_training_images import LISTING, packages
from glocal.learn.places import corridor, groups, render, room, street
from glocal.learn.places.boxes import TEXEL

KINDS = {"corridor": corridor, "room": room, "street": street}


def squares(paths: Sequence[Path]) -> list[NDArray[np.uint8]]:
    """Read images and squash them to the squares that the renderer takes."""
    found = []
    for path in paths:
        with Image.open(path) as image:
            small = image.convert("RGB").resize((TEXEL, TEXEL), Image.Resampling.BICUBIC)
        found.append(np.asarray(small))
    return found


def materials(
    folder: Path, use: str, rng: np.random.Generator
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Choose a few hundred textures for surfaces and images to hang on walls."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["use"] == use]
    textured = {package.name for package in packages(LISTING) if package.kind == "texture"}
    surfaces = [folder / r["path"] for r in rows if r["package"] in textured]
    hung = [folder / r["path"] for r in rows if r["package"] not in textured]
    if not surfaces or not hung:
        raise SystemExit(
            f"{folder} has too few images for {use}; run gather_training_images.py first"
        )

    def some(paths: list[Path], count: int) -> list[Path]:
        return [paths[i] for i in rng.permutation(len(paths))[:count]]

    return squares(some(surfaces, 700)), squares(some(hung, 1500))


def exposed(view: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Simulate the automatic exposure and the noise of a camera."""
    gain = rng.uniform(0.75, 1.3) * (1 + rng.normal(0, 0.03, 3))
    return np.clip(view * gain + rng.normal(0, 2, view.shape), 0, 255).astype(np.uint8)


def render_scene(
    kind: str,
    textures: Sequence[NDArray[np.uint8]],
    images: Sequence[NDArray[np.uint8]],
    rng: np.random.Generator,
    options: argparse.Namespace,
) -> list[list[Image.Image]]:
    """Render the views of each place of a new scene, without places that have a blank view."""
    scene = KINDS[kind](textures, images, rng)
    shown = []
    for cameras in groups(scene, options.places, options.views, rng):
        views = [exposed(render(scene, camera, tuple(options.size)), rng) for camera in cameras]
        if min(float(view.std()) for view in views) > 16:
            shown.append([Image.fromarray(view) for view in views])
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--use", choices=("train", "test"), default="train")
    parser.add_argument("--scenes", type=int, default=300, help="number of scenes")
    parser.add_argument("--places", type=int, default=6, help="places per scene, at most")
    parser.add_argument("--views", type=int, default=4, help="views per place")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 192), help="width and height")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    seed = [options.seed, options.use == "test"]
    textures, images = materials(options.folder, options.use, np.random.default_rng(seed))
    listing = options.folder / f"places-{options.use}.csv"
    if not listing.exists():
        listing.write_text("path,label\n", encoding="utf-8")
    with listing.open(encoding="utf-8", newline="") as file:
        done = {row["label"].partition("/")[0] for row in csv.DictReader(file)}
    for number in range(options.scenes):
        kind = ("corridor", "room", "corridor", "room", "street")[number % 5]
        name = f"{kind}-{number:04d}"
        if name in done:
            continue
        folder = Path(f"places-{options.use}", name)
        (options.folder / folder).mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([*seed, number])
        made = []
        for place, views in enumerate(render_scene(kind, textures, images, rng, options)):
            for count, view in enumerate(views):
                path = folder / f"{place:02d}-{count}.jpg"
                view.save(options.folder / path, "JPEG", quality=90)
                made.append([path, f"{name}/{place:02d}"])
        with listing.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(made)
        if number % 20 == 19:
            print(f"{number + 1} scenes", flush=True)


if __name__ == "__main__":
    main()
