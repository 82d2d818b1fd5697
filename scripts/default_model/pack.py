"""Pack training images into one file that fits a small transfer, and unpack it into memory.

    python scripts/default_model/pack.py IMAGES GROCERY PACK [--megabytes 76]

IMAGES is what `scripts/gather_training_images.py` filled, GROCERY the Grocery Store dataset, of
which only the training photos are used. Writes ``PACK/images-N.bin`` (WebP files, one after
another) and ``PACK/images.json``.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 256
KINDS = Path(__file__).parents[1] / "training_packages.csv"


def small(path: Path, quality: int) -> tuple[bytes, float] | None:
    """A WebP file of about 256x256 pixels, and the proportions of the image; None if unreadable."""
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except OSError as error:
        print(f"{path}: {error}")
        return None
    scale = min(1.0, SIDE / (image.width * image.height) ** 0.5)
    size = max(16, round(image.width * scale)), max(16, round(image.height * scale))
    shrunk = image.resize(size, Image.Resampling.LANCZOS)
    kept = io.BytesIO()
    shrunk.save(kept, "WEBP", quality=quality, method=4)
    return kept.getvalue(), size[0] / size[1]


def wanted(images: Path, grocery: Path) -> list[tuple[Path, str, str]]:
    """Path, kind and label of each image; the label is empty where nobody gave one."""
    with (images / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["use"] == "train"]
    with KINDS.open(encoding="utf-8", newline="") as file:
        kinds = {row["package"]: row["kind"] for row in csv.DictReader(file)}
    found = [(images / row["path"], kinds[row["package"]], "") for row in rows]
    for line in (grocery / "train.txt").read_text(encoding="utf-8").splitlines():
        if line.strip():
            path, label, *_ = (part.strip() for part in line.split(","))
            found.append((grocery / path, "product", f"grocery {label}"))
    return found


def read(folder: Path) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """All images ``(n, 256, 256, 3)`` uint8, squashed to squares, and what is known of each."""
    listed = json.loads((folder / "images.json").read_text(encoding="utf-8"))
    parts = {part: (folder / part).read_bytes() for part in {row["part"] for row in listed}}

    def opened(row: dict[str, Any]) -> np.ndarray:
        data = parts[row["part"]][row["start"] : row["start"] + row["length"]]
        with Image.open(io.BytesIO(data)) as image:
            square = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        return np.asarray(square)

    with ThreadPoolExecutor() as pool:
        return np.stack(list(pool.map(opened, listed))), listed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("grocery", type=Path)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--megabytes", type=float, default=76, help="size of all parts together")
    parser.add_argument("--part", type=float, default=34, help="size of one part")
    parser.add_argument("--quality", type=int, default=62)
    options = parser.parse_args()
    options.pack.mkdir(parents=True, exist_ok=True)
    rows = wanted(options.images, options.grocery)
    mixed = np.random.default_rng(0).permutation(len(rows)).tolist()
    # Photos and products first: they are what is cut when there is too little room.
    order = sorted(mixed, key=lambda i: rows[i][1] not in ("photo", "product"))
    listed, part, written, total = [], 0, 0, 0
    file = (options.pack / "images-0.bin").open("wb")
    with Pool() as pool:
        paths = [rows[number][0] for number in order]
        made = pool.imap(partial(small, quality=options.quality), paths, chunksize=16)
        for number, found in zip(order, made, strict=True):
            if found is None:
                continue
            data, aspect = found
            if total + len(data) > options.megabytes * 1e6:
                break
            if written + len(data) > options.part * 1e6:
                file.close()
                part, written = part + 1, 0
                file = (options.pack / f"images-{part}.bin").open("wb")
            _, kind, label = rows[number]
            listed.append({"part": f"images-{part}.bin", "start": written, "length": len(data),
                           "aspect": aspect, "kind": kind, "label": label})  # fmt: skip
            file.write(data)
            written, total = written + len(data), total + len(data)
    file.close()
    (options.pack / "images.json").write_text(json.dumps(listed), encoding="utf-8")
    print(f"{len(listed)} of {len(rows)} images, {total / 1e6:.1f} MB in {part + 1} parts")


if __name__ == "__main__":
    main()
