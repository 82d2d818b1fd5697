"""The default model as it was in version 3: the same vectors, 128 local features of an image."""

from __future__ import annotations

from pathlib import Path

from glocal.encoders import DEFAULT_MODEL, find_model
from glocal.encoders.onnx import read_card
from glocal.learn.delivery import replace_card


def write_version_3(path: Path) -> Path:
    """Write it to a file, which gives the best 128 since its card says so."""
    bundled = find_model(DEFAULT_MODEL)
    card = read_card(bundled)
    assert card is not None
    before = {"version": 3, "space": f"{DEFAULT_MODEL}-v3", "speaks": []}
    path.write_bytes(bundled.read_bytes())
    replace_card(
        path, card.everything | before | {"local": card.everything["local"] | {"count": 128}}
    )
    return path
