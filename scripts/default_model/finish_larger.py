"""Turn a larger trunk that was trained into a model file: fit vector and local features, export.

    python scripts/default_model/finish_larger.py RUN.pt PACK MODEL.onnx [--share 1]
        [--like OTHER.onnx]

RUN.pt is what `train_larger.py` wrote, PACK what `pack.py` wrote. The vector is made of GeM's
features of the coarsest map: half-whitened, joined with the projection that was trained
(`vectors.joined`). Local features are cells of the map before it, whitened, and turned so that they
are as near as they can be to those of another model: a turn changes no likeness, and the codes by
which galleries keep descriptors were fitted to that model's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from finish import AREA, DATA, chosen
from numpy.typing import NDArray
from torch import Tensor
from vectors import joined, trunk_of

from glocal.encoders import DEFAULT_MODEL, OnnxEncoder, find_model
from glocal.learn.cells import Cells
from glocal.learn.export import export, fold_norms
from glocal.learn.heads.gem import Gem
from glocal.learn.model import Model

CELLS = 400  # of an image of the usual size


@torch.no_grad()
def fit(model: Model, state: dict[str, Tensor], share: float,
        images: list[NDArray[np.uint8]]) -> None:  # fmt: skip
    """Fit the vector, and the whitening of the cells."""
    assert isinstance(model.head, Gem)  # noqa: S101 - as `main` builds it
    pooled, cells = [], []
    for image in images:
        maps = model.backbone(_pixels(image))
        pooled.append(model.head.pooled(maps))
        unit = torch.nn.functional.normalize(maps[-2].flatten(2)[0], dim=0)
        cells.append(unit.T[::4])
    model.head.whitening = joined(state, torch.cat(pooled), share)
    model.cells.whitening.fit_components(torch.cat(cells), power=0.5)


@torch.no_grad()
def turn(model: Model, like: OnnxEncoder, images: list[NDArray[np.uint8]]) -> float:
    """Turn the cells' descriptors towards another model's; their mean cosine afterwards.

    The turn is the solution of the orthogonal Procrustes problem (Schönemann, 1966) for pairs of
    cells of one image that lie nearest to each other.
    """
    own, other = [], []
    for image in images:
        theirs = like.encode([image])[0]
        *_, keypoints, descriptors, _ = (part[0] for part in model.features(_pixels(image)))
        apart = torch.cdist(torch.from_numpy(theirs.keypoints).float(), keypoints)
        distance, nearest = apart.min(dim=1)
        near = distance < model.cells.level.stride / 2
        own.append(descriptors[nearest[near]])
        other.append(torch.from_numpy(theirs.descriptors)[near])
    mine, wanted = torch.cat(own).double(), torch.cat(other).double()
    u, _, v = torch.linalg.svd(wanted.T @ mine)
    layer, by = model.cells.whitening.linear, (u @ v).float()
    layer.weight.copy_(by @ layer.weight)
    layer.bias.copy_(by @ layer.bias)
    return float(((mine @ (u @ v).T) * wanted).sum(dim=1).mean())


def _pixels(image: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("pack", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--share", type=float, default=1.0, help="of the trained projection")
    parser.add_argument("--like", default=DEFAULT_MODEL, help="model that galleries' codes fit")
    parser.add_argument("--most", type=int, default=500, help="images of each kind")
    options = parser.parse_args()
    saved = torch.load(options.run, weights_only=False, map_location="cpu")
    trunk = trunk_of(saved["trunk"], None, saved["state"]).eval()
    fold_norms(trunk)
    head = Gem(trunk.levels, dim=512, learn_power=False)
    model = Model(trunk, head, Cells(trunk.levels, count=CELLS)).eval()
    images = chosen(options.pack, options.most)
    fit(model, saved["state"], options.share, images)
    agreement = turn(model, OnnxEncoder(find_model(options.like)), images[::8])
    name = f"glocal-{saved['trunk']}"
    weights = DATA[0].replace("Lite0", name[7:].capitalize()).replace("lite0", name[7:])
    card = {
        "name": name,
        "version": 1,
        "space": f"{name}-v1",
        "licence": "Apache-2.0",
        "dim": 512,
        "input": {"area": AREA, "max_aspect": 4.0, "multiple": 32},
        "local": {"count": CELLS, "dim": 48, "stride": 16},
        "training_data": [weights, *DATA[1:]],
        "sources": [f"efficientnet-{saved['trunk']} (imagenet)"],
        "made_by": "scripts/default_model/train_larger.py",
        "trained": {"retention": saved["retention"], "steps": saved["log"][-1]["step"]},
    }
    difference = export(model, card, options.model, half=True)
    print(f"{options.model}: {options.model.stat().st_size / 1e6:.2f} MB, {difference:.1e} off, "
          f"local descriptors {agreement:.3f} like those of {options.like}")  # fmt: skip


if __name__ == "__main__":
    main()
