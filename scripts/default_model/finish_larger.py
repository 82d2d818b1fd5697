"""Turn what `train_larger.py` wrote into a model file.

    python scripts/default_model/finish_larger.py RUN.pt PACK MODEL.onnx [--whiten .5]

The vector is as it was trained, near that of the teacher; ``--whiten`` fits GeM's half-whitening to
packed images in its place, as `finish.py` does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from finish import AREA, DATA, whiten
from train_larger import TRUNKS

from glocal.learn.cells import Cells
from glocal.learn.export import export, fold_norms
from glocal.learn.heads.gem import Gem
from glocal.learn.model import Model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("pack", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--whiten", type=float, help="power of a whitening that is fitted anew")
    parser.add_argument("--most", type=int, default=500, help="images of each kind")
    options = parser.parse_args()
    saved = torch.load(options.run, weights_only=False, map_location="cpu")
    size = saved["trunk"]
    trunk = TRUNKS[size](weights="imagenet").eval()
    fold_norms(trunk)
    head = Gem(trunk.levels, dim=512, learn_power=False)
    assert head.whitening is not None  # noqa: S101 - it has a dim
    for name, module in (("trunk.", trunk), ("whitening.", head.whitening)):
        part = {k.removeprefix(name): v for k, v in saved["state"].items() if k.startswith(name)}
        module.load_state_dict(part)
    model = Model(trunk, head, Cells(trunk.levels)).eval()
    whiten(model, options.pack, options.most, options.whiten)
    name = f"glocal-{size}"
    card = {
        "name": name,
        "version": 1,
        "space": f"{name}-v1",
        "licence": "Apache-2.0",
        "dim": 512,
        "input": {"area": AREA, "max_aspect": 4.0, "multiple": 32},
        "local": {"count": 128, "dim": 48, "stride": 16},
        "training_data": [
            DATA[0].replace("Lite0", f"Lite{size[-1]}").replace("lite0", size),
            *DATA[1:],
        ],
        "sources": [f"efficientnet-{size} (imagenet)", "glocal-lite0 version 3"],
        "made_by": "scripts/default_model/train_larger.py",
        "trained": {"steps": saved["log"][-1]["step"]},
    }
    difference = export(model, card, options.model, half=True)
    print(f"{options.model}: {options.model.stat().st_size / 1e6:.2f} MB, {difference:.1e} off")


if __name__ == "__main__":
    main()
