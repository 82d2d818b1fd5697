"""Make the default model's twin in int8.

    python scripts/default_model/quantize.py MODEL.onnx IMAGES GROCERY TWIN.int8.onnx

MODEL.onnx is what `finish.py` wrote, IMAGES what `gather_training_images.py` gathered, and GROCERY
the folder ``dataset`` of the Grocery Store dataset. Only training images are used, and of Grocery's
not every eleventh, by whose altered copies models are judged. The twin of version 3 was made with

    python scripts/gather_training_images.py IMAGES --only digikam-data gcompris-qt-data \\
        labelme-examples lebiniou-data lomiri-wallpapers lomiri-wallpapers-20.04 \\
        plasma-workspace-wallpapers propaganda-debian sway-backgrounds tuxpaint-stamps-default \\
        ukui-wallpapers
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from glocal.learn.quantized_delivery import quantize

STEPS = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("grocery", type=Path)
    parser.add_argument("twin", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    with (options.images / "manifest.csv").open(encoding="utf-8", newline="") as file:
        photos = [
            options.images / row["path"] for row in csv.DictReader(file) if row["use"] == "train"
        ]
    listed = (options.grocery / "train.txt").read_text(encoding="utf-8").splitlines()
    shop = [options.grocery / line.split(",")[0] for line in listed if line.strip()]
    photos += [path for number, path in enumerate(shop) if number % 11]

    def listen(stage: str, done: int, total: int) -> None:
        if stage == "training" and done % 50 == 0:
            print(f"{done} of {total} steps", flush=True)

    print(quantize(options.model, photos, options.twin, steps=options.steps, listen=listen))


if __name__ == "__main__":
    main()
