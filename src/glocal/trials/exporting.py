"""Export a backbone with a head, and index and search with the file, as a user would."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from glocal.learn.cells import Cells
from glocal.learn.contracts import Backbone
from glocal.learn.export import compare, export, trace
from glocal.learn.heads.gem import Gem
from glocal.learn.model import Model
from glocal.trials.lab import Lab


def check_indexes(lab: Lab, trunk: Backbone) -> None:
    """Check, with the first seed only, that an exported backbone computes the same and searches.

    Args:
        lab: the side's lab.
        trunk: backbone for images of 64 pixels and more, in evaluation mode.
    """
    if lab.seed or lab.smoke:
        return
    import glocal

    model = Model(trunk, Gem(trunk.levels, dim=32), Cells(trunk.levels)).eval()
    traced = trace(model)
    lab.check("deviation of the ONNX file from torch", compare(model, traced.SerializeToString()),
              "<", 1e-4)  # fmt: skip
    size = {"area": 96 * 96, "multiple": trunk.multiple, "max_aspect": 2.0}
    card = {"name": "trial", "version": 1, "licence": "none", "dim": 32, "input": size}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        file = root / "trial.onnx"
        export(model, card, file, traced=traced)
        photos = root / "photos"
        photos.mkdir()
        for number, photo in enumerate(lab.photos(96)):
            Image.fromarray(photo).save(photos / f"{number}.png")
        with glocal.open(root / "gallery", model=str(file)) as gallery:
            gallery.add(photos)
            first = next(iter(gallery.search(photos / "2.png", limit=1)))
        lab.check("number of the photo found for photo 2", float(Path(first.path).stem), "=", 2)
