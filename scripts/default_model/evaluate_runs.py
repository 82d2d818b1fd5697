"""Evaluate what `train_larger.py` wrote on the machine that trains, on stand-ins of few bytes.

    python scripts/default_model/evaluate_runs.py SETS --write IMAGES [--views FOLDER ...]
    python scripts/default_model/evaluate_runs.py SETS PACK RUN.pt [...] --weights SIZE:FILE [...]

The first command packs the images of `benchmarks/stand_ins.py` but for the scenes, at the size at
which they are encoded, into the folder SETS. The second one prints recall@1 and mAP
of each run: of GeM half-whitened, and of vectors in which the projection that was trained has more
and more weight.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pack import read
from PIL import Image
from torch import Tensor
from vectors import POWER, joined, trunk_of

from glocal.learn.backbones.efficientnet_lite import EfficientNetLite
from glocal.learn.heads.gem import generalised_mean

SETS = ("product image", "walks", "unseen copies", "photographed", "views")
SHARES = (0.0, 0.5, 0.7, 1.0, 1.4)
AREA = 320 * 320


def write(folder: Path, images: Path, views: list[Path], quality: int = 70) -> None:
    """Pack the stand-ins; of what is found among many, only every fourth distractor."""
    sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    from default_model import DATA
    from stand_ins import stand_ins

    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    numbers: dict[Path, int] = {}
    with (folder / "stand-ins.bin").open("wb") as file:

        def kept(source: Path | np.ndarray) -> int:
            if isinstance(source, Path) and source in numbers:
                return numbers[source]
            image = Image.open(source) if isinstance(source, Path) else Image.fromarray(source)
            image = image.convert("RGB")
            scale = (AREA / (image.width * image.height)) ** 0.5
            size = [max(64, round(side * scale / 32) * 32) for side in image.size]
            image = image.resize((size[0], size[1]), Image.Resampling.BILINEAR, reducing_gap=3.0)
            data = io.BytesIO()
            image.save(data, "WEBP", quality=quality, method=4)
            rows.append({"start": file.tell(), "length": len(data.getvalue())})
            file.write(data.getvalue())
            if isinstance(source, Path):
                numbers[source] = len(rows) - 1
            return len(rows) - 1

        tasks = {}
        for name, task in stand_ins(DATA, images, views).items():
            if name not in SETS:
                continue
            right = set(task.query_labels or [x for x in task.labels if task.labels.count(x) > 1])
            some = [i for i, x in enumerate(task.labels) if x in right or i % 4 == 0]
            tasks[name] = {
                "gallery": [kept(task.gallery[i]) for i in some],
                "labels": [task.labels[i] for i in some],
                "queries": [kept(source) for source in task.queries],
                "asked": list(task.query_labels),
            }
            print(name, len(some), len(task.queries), flush=True)
    (folder / "stand-ins.json").write_text(json.dumps({"images": rows, "tasks": tasks}))


@torch.no_grad()
def pooled(trunk: EfficientNetLite, images: list[np.ndarray],
           device: torch.device) -> Tensor:  # fmt: skip
    """GeM features ``(n, d)`` of the coarsest map, of unit length."""
    by_size = defaultdict(list)
    for number, image in enumerate(images):
        by_size[image.shape].append(number)
    found: dict[int, Tensor] = {}
    for numbers in by_size.values():
        batch = 64 if device.type == "cuda" else 1  # a processor is fastest with one
        for first in range(0, len(numbers), batch):
            some = numbers[first : first + batch]
            pixels = torch.from_numpy(np.stack([images[i] for i in some])).to(device)
            pixels = (
                pixels.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
            )
            top = trunk(pixels / 255)[-1]
            rows = torch.nn.functional.normalize(generalised_mean(top, POWER), dim=1).cpu()
            found |= dict(zip(some, rows, strict=True))
    return torch.stack([found[number] for number in range(len(images))])


def evaluated(gallery: np.ndarray, labels: list[str], queries: np.ndarray, asked: list[str],
           alone: bool) -> tuple[float, float]:  # fmt: skip
    """Recall@1 and mAP; an image of the gallery is left out of its own ranking."""
    names = np.array(labels)
    first, precision = [], []
    likeness = queries @ gallery.T
    for number, label in enumerate(asked):
        order = np.argsort(-likeness[number], kind="stable")
        order = order[order != number] if alone else order
        right = names[order] == label
        if not right.any():
            continue
        places = np.flatnonzero(right)
        first.append(right[0])
        precision.append(np.mean(np.arange(1, len(places) + 1) / (places + 1)))
    return float(np.mean(first)), float(np.mean(precision))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("pack", type=Path, nargs="?")
    parser.add_argument("runs", type=Path, nargs="*")
    parser.add_argument("--weights", nargs="+", default=[], help="of ImageNet, as lite0:FILE")
    parser.add_argument("--write", type=Path, metavar="IMAGES")
    parser.add_argument("--views", type=Path, nargs="+", default=[], help="folders of one thing")
    parser.add_argument("--fit", type=int, default=3000, help="images that whitening is fitted to")
    options = parser.parse_args()
    if options.write:
        write(options.sets, options.write, options.views)
        return
    weights = {name: Path(file) for name, file in (x.split(":", 1) for x in options.weights)}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    known = json.loads((options.sets / "stand-ins.json").read_text(encoding="utf-8"))
    data = (options.sets / "stand-ins.bin").read_bytes()

    def opened(row: dict[str, int]) -> np.ndarray:
        with Image.open(io.BytesIO(data[row["start"] : row["start"] + row["length"]])) as image:
            return np.asarray(image.convert("RGB"))

    def sized(image: np.ndarray, aspect: float) -> np.ndarray:
        limited = min(2.5, max(0.4, aspect)) ** 0.5
        width, height = (round(320 * x / 32) * 32 for x in (limited, 1 / limited))
        return np.asarray(Image.fromarray(image).resize((width, height)))

    with ThreadPoolExecutor() as pool:
        images = list(pool.map(opened, known["images"]))
        packed, listed = read(options.pack)
        some = np.random.default_rng(3).permutation(len(packed))[: options.fit]
        fit = list(pool.map(sized, packed[some], [listed[i]["aspect"] for i in some]))
    print("| run | weight | " + " | ".join(known["tasks"]) + " |")
    for path in options.runs:
        saved = torch.load(path, weights_only=False, map_location="cpu")
        trunk = trunk_of(saved["trunk"], weights.get(saved["trunk"]), saved["state"])
        trunk = trunk.to(device).eval()
        features, own = (pooled(trunk, part, device) for part in (fit, images))
        for share in SHARES:
            vectors = joined(saved["state"], features, share)(own).numpy()
            shown = []
            for task in known["tasks"].values():
                gallery = vectors[task["gallery"]]
                alone = not task["queries"]
                queries = gallery if alone else vectors[task["queries"]]
                asked = task["labels"] if alone else task["asked"]
                figures = evaluated(gallery, task["labels"], queries, asked, alone)
                shown.append("{:.1f} / {:.1f}".format(*(100 * x for x in figures)))
            print(f"| {path.stem} | {share} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
