"""Is a crop found that was made of one of a dozen photos that are nearly alike?

    python benchmarks/copies_bursts.py [--quick] [--first K] [--model NAME-OR-FILE]

Of photos of Grocery's training set bursts are made: each frame from a little elsewhere, in another
light, with noise, and with parts that moved by some pixels, so that no frame is a copy of another.
Of three frames of each burst a part of .6, .7 and .8 of the sides is cut out; other photos lie
around. A crop is found where it is in a group with its frame; a group with two frames is wrong.
``--first`` looks for copies among so many neighbours of each image, 20 being all.
"""

from __future__ import annotations

import resource
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
from PIL import Image

from glocal.encoders import DEFAULT_MODEL
from glocal.gallery import Gallery, comparing
from glocal.gallery.candidates import FIRST
from measure import arguments, write_results
from verification_sets import grocery

FRAMES = 12
CROPS = (0.6, 0.7, 0.8)
_CELLS = 6
Rng = np.random.Generator


def frame(photo: Image.Image, rng: Rng) -> Image.Image:
    """A photo as a hand would have taken it again a moment later."""
    width, height = photo.size
    side = rng.uniform(0.9, 0.97)
    left, top = rng.uniform(0, 1 - side, 2)
    ticks = np.linspace(0, 1, _CELLS + 1)
    x, y = np.meshgrid((left + side * ticks) * width, (top + side * ticks) * height)
    x += rng.normal(0, 3.0, x.shape)  # pixels by which what is there has moved
    y += rng.normal(0, 3.0, y.shape)
    across, down = (ticks * width).round().astype(int), (ticks * height).round().astype(int)
    mesh = []
    for i in range(_CELLS):
        for j in range(_CELLS):
            corners = ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1))
            quad = tuple(float(v) for at in corners for v in (x[at], y[at]))
            box = int(across[j]), int(down[i]), int(across[j + 1]), int(down[i + 1])
            mesh.append((box, quad))
    moved = photo.transform(photo.size, Image.Transform.MESH, mesh, Image.Resampling.BICUBIC)
    levels = np.asarray(moved, np.float32) * rng.uniform(0.94, 1.06)
    levels += rng.normal(0, 2.5, levels.shape)
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def make(folder: Path, photos: list[Path]) -> dict[Path, Path]:
    """Bursts and crops: each crop with its frame."""
    folder.mkdir()
    rng = np.random.default_rng(5)
    made = {}
    for burst, path in enumerate(photos):
        with Image.open(path) as opened:
            photo = opened.convert("RGB")
        frames = [folder / f"{burst:02d} {number:02d}.jpg" for number in range(FRAMES)]
        for target in frames:
            frame(photo, rng).save(target, quality=92)
        for side in CROPS:
            source = frames[int(rng.integers(FRAMES))]
            with Image.open(source) as opened:
                left, top = rng.uniform(0, 1 - side, 2) * opened.size
                wide, tall = side * opened.width, side * opened.height
                box = tuple(round(float(v)) for v in (left, top, left + wide, top + tall))
                target = folder / f"{source.stem} {side}.jpg"
                opened.crop(box).save(target, quality=85)  # type: ignore[arg-type]
            made[target] = source
    return made


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--first", type=int, default=FIRST)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="nothing is written for another")
    options = parser.parse_args()
    training = [path for path, _ in grocery("train")]
    used = training[50::97][: 3 if options.quick else 24]
    around = [path for path in training[1 :: 40 if options.quick else 7] if path not in used]
    with TemporaryDirectory() as temporary, patch.object(comparing, "FIRST", options.first):
        made = make(Path(temporary) / "bursts", used)
        with Gallery(Path(temporary) / "gallery", regions="none", model=options.model) as gallery:
            gallery.add(Path(temporary) / "bursts", *around)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
            groups = gallery.duplicates("copy")
            seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
    files = [{path for image in group.images for path in image.paths} for group in groups]
    found = sum(any({crop, source} <= group for group in files) for crop, source in made.items())
    mixed = sum(len({made.get(path, path) for path in group}) > 1 for group in files)
    figures = {
        "first": options.first,
        "crops": len(made),
        "found": found,
        "groups_of_two_frames": mixed,
        "cpu_seconds": seconds,
    }
    print(figures)
    if options.model == DEFAULT_MODEL:
        write_results(f"copies_bursts_{options.first}", figures, quick=options.quick)


if __name__ == "__main__":
    main()
