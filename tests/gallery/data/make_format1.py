"""How ``format1.tar.gz`` was made: a small gallery of format 1, and what it finds.

    PYTHONPATH=src:tests/gallery python make_format1.py

To be run in a clone of the project as of the last commit that wrote format 1, whose names it uses.
"""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
from picture_folders import write_pictures  # of that commit
from PIL import Image

from glocal.gallery import Gallery
from tiny_model import write_model

HOME = Path("/glocal-fixture")


def main() -> None:
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    model = write_model(HOME / "tiny.onnx")
    photos = HOME / "photos"
    write_pictures(photos, 12)
    write_pictures(photos / "trip", 6, first=100)
    (photos / "copy").mkdir()
    first = min(path for path in photos.iterdir() if path.is_file())
    shutil.copy(first, photos / "copy" / "again.png")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff not an image")
    with Gallery(HOME / "gallery", model=str(model), detector="own") as gallery:
        gallery.add(photos)
        kept = io.BytesIO()
        noise = np.random.default_rng(5).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(kept, "PNG")
        gallery.add(kept.getvalue(), name="kept-one")
        expected = {}
        for path in sorted(photos.rglob("*.png")):
            found = gallery.search(path, limit=25, exact=True, verify=False)
            expected[str(path.relative_to(HOME))] = [
                [str(hit.path.relative_to(HOME)), round(hit.score, 4)] for hit in found
            ]
        gallery._store().flush()
    (HOME / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main()
