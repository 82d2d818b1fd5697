"""Render two walks through office corridors, as a stand-in for a small robot's camera.

    python scripts/default_model/render_walks.py FOLDER [--use test] [--scenes 12]

FOLDER is what `scripts/gather_training_images.py` filled. Frames have 160x120 pixels, strong lens
distortion, and another light on the second walk, which also keeps another distance from the walls.
Writes ``FOLDER/walks-USE/*.jpg`` and ``FOLDER/walks-USE.csv`` (path, label, walk); the label names
the corridor and the spot, and spots are at least 1.3 metres apart.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.append(str(Path(__file__).resolve().parent.parent))

from walks import World, cameras_of, render

from glocal.learn.places.offices import office, office_walk
from render_places import materials

SIZE = (160, 120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--use", choices=("train", "test"), default="test")
    parser.add_argument("--scenes", type=int, default=12, help="number of corridors")
    parser.add_argument("--spots", type=int, default=12, help="spots in each, at most")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    seed = [options.seed, options.use == "test", 99]
    textures, images = materials(options.folder, options.use, np.random.default_rng(seed))
    folder = options.folder / f"walks-{options.use}"
    folder.mkdir(exist_ok=True)
    rows = []
    for number in range(options.scenes):
        rng = np.random.default_rng([*seed, number])
        torch.manual_seed(number)
        scene = office(textures, images, rng)
        cameras = office_walk(scene, options.spots, 2, rng)
        world = World([scene], torch.device("cpu"))
        light = torch.tensor([[1.0, 1.0], rng.uniform((0.6, 0.2), (1.3, 1.5)).tolist()])
        light = light.repeat(len(cameras) // 2, 1).float()
        lens = torch.full((len(cameras),), -float(rng.uniform(0.1, 0.35)))
        found = cameras_of(world, [0] * len(cameras), cameras, lens, light)
        frames, _ = render(world, found, (2 * SIZE[0], 2 * SIZE[1]))
        frames = torch.nn.functional.avg_pool2d(frames, 2)
        for count, frame in enumerate(frames):
            exposed = frame * float(rng.uniform(0.3, 0.5)) / frame.mean().clamp(min=0.05)
            exposed = exposed.clamp(1e-4, 1) ** math.exp(rng.normal(0, 0.1))
            noisy = exposed + torch.from_numpy(rng.normal(0, 0.012, exposed.shape)).float()
            pixels = (noisy.clamp(0, 1).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
            path = Path(f"walks-{options.use}", f"{number:02d}-{count // 2:02d}-{count % 2}.jpg")
            Image.fromarray(pixels).save(options.folder / path, "JPEG", quality=80)
            rows.append([path, f"{number:02d}/{count // 2:02d}", count % 2])
    with (options.folder / f"walks-{options.use}.csv").open("w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(["path", "label", "walk"])
        writer.writerows(rows)
    print(f"{len(rows)} frames of {options.scenes} corridors")


if __name__ == "__main__":
    main()
