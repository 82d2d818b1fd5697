"""The vector spaces that `bridges.py` builds bridges between, and their vectors of real photos.

Nothing to run by itself. Vectors are kept in the folder of the run, so that a second run reads no
photo.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from default_model import DATA, Labels, grocery_icons, grocery_split, scene_photos
from glocal.encoders import load_encoder
from glocal.images import load

Vectors = NDArray[np.float32]
CHECKOUT = Path(__file__).resolve().parent.parent
FIRST_VERSION = "1b05a7d:src/glocal/encoders/models/glocal-lite0.onnx"
"""The last file of version 1 of the bundled model, in the history of this repository."""

SECOND_VERSION = CHECKOUT / "tests" / "upgrade" / "glocal-lite0-v2.onnx"

TRUNK_SIDE = 160
"""Pixels of a square image for ImageNet trunks: a quarter of what the bundled model takes."""


def model_of(space: str, folder: Path) -> str:
    """The bundled model's name, or the file of another, which is made where it is not there."""
    known = {"glocal-v2": str(SECOND_VERSION), "glocal-v3": "glocal-lite0"}
    if space in known:
        return known[space]
    file = folder / f"{space}.onnx"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        if space == "glocal-v1":
            shown = subprocess.run(
                ["git", "show", FIRST_VERSION], cwd=CHECKOUT, capture_output=True, check=True
            )
            file.write_bytes(shown.stdout)
        else:
            _export_trunk(space, file)
    return str(file)


def _export_trunk(space: str, file: Path) -> None:
    from glocal.learn.export import export
    from glocal.learn.model import build_model

    trunk = space.partition("-")[0]
    model = build_model(backbone=f"efficientnet-{trunk}", head="gem").eval()
    size = {"area": TRUNK_SIDE**2, "multiple": 32, "max_aspect": 4.0}
    card = {"name": space, "version": 1, "licence": "Apache-2.0", "dim": model.dim, "input": size}
    export(model, card | {"space": space}, file)


def vectors_of(space: str, images: Sequence[Path], name: str, folder: Path) -> Vectors:
    """Vectors ``(n, d)`` of photos, kept in the folder under this name."""
    kept = folder / "vectors" / f"{space}.{name}.npy"
    if kept.is_file():
        found: Vectors = np.load(kept)
        if len(found) == len(images):
            return found
    encoder = load_encoder(model_of(space, folder / "models"))
    rows = [
        encoder.encode([load(image, min_pixels=encoder.card.area).array])[0].vector
        for image in images
    ]
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.save(kept, np.stack(rows))
    return np.stack(rows)


@dataclass(frozen=True, slots=True, eq=False)
class Photos:
    """Which photos are evaluated and which may be anchors; none is both.

    Attributes:
        files: Files of each set by name.
        labels: Labels of each set.
    """

    files: dict[str, list[Path]]
    labels: dict[str, Labels]


def photos() -> Photos:
    """Grocery's photos, its product images, and the scenes."""
    files, labels = {}, {}
    for split in ("train", "val", "test"):
        files[split], labels[split] = grocery_split(DATA / "grocery", split)
    files["products"], labels["products"] = grocery_icons(DATA / "grocery")
    files["scenes"], labels["scenes"] = scene_photos(DATA / "scenes")
    return Photos(files, labels)
