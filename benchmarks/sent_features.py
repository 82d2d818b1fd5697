"""mAP of Grocery's photos against the bytes that a device sends: features, and WebP files.

    GLOCAL_GROCERY=... python benchmarks/sent_features.py [--seeds 1] [--steps 100]

Both are measured on the validation images of a trial's division, at 64x64 pixels, and continue in
the same EfficientNet-Lite0: coded features after its first level, WebP files from the beginning.
"""

from __future__ import annotations

import argparse
import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from glocal.learn.compress.entropic_student import EntropicStudent, teach
from glocal.trials.compress.entropic_student import SIDE, sent, teacher_maps, vectors_of
from glocal.trials.data import mean_ap
from glocal.trials.lab import Lab
from glocal.trials.zoo import pixels

BETAS = (0.05, 0.3, 1.0, 4.0)
QUALITIES = (0, 10, 30, 60)


def main() -> None:
    """Print a row for each point of both curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="divisions that are averaged")
    parser.add_argument("--steps", type=int, default=100, help="steps of each training")
    given = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(given.seeds):
        data = Lab(seed).grocery(SIDE)
        images, labels = data.validation.images, data.validation.labels
        for quality in QUALITIES:
            files = [_webp(image, quality) for image in images]
            maps = teacher_maps(np.stack([_opened(file) for file in files]))
            point = float(np.mean([len(file) for file in files])), mean_ap(vectors_of(maps), labels)
            found.setdefault(f"WebP of quality {quality}", []).append(point)
        for beta in BETAS:
            torch.manual_seed(seed)
            student = EntropicStudent(40, 8)
            train = data.train.images
            teach(student, pixels(train), teacher_maps(train), beta=beta, steps=given.steps,
                  batch=16, seed=seed)  # fmt: skip
            arrived = sent(student, images)
            point = float(arrived.sizes.mean()), mean_ap(arrived.vectors, labels)
            found.setdefault(f"features at the price {beta:g}", []).append(point)
        whole = mean_ap(vectors_of(teacher_maps(images)), labels)
        found.setdefault("pixels", []).append((float(images[0].nbytes), whole))
    print(f"{'sent':26} {'bytes':>8} {'mAP, %':>7}")
    for name, points in found.items():
        size, ap = np.mean(points, axis=0)
        print(f"{name:26} {size:8.1f} {ap:7.2f}")


def _webp(image: NDArray[np.uint8], quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "WEBP", quality=quality, method=6)
    return file.getvalue()


def _opened(file: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


if __name__ == "__main__":
    main()
