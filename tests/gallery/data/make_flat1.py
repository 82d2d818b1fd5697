"""How ``flat1.tar.gz`` was made: a small gallery of format 2, version 1 of the store.

    PYTHONPATH=src:tests:tests/gallery python make_flat1.py

To be run in a clone of the project as of the last commit that made such galleries (ab377b9). Then
``tar czf flat1.tar.gz -C /glocal-fixture .``
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from image_folders import write_images

from glocal.gallery import Gallery
from tiny_model import write_model

HOME = Path("/glocal-fixture")


def main() -> None:
    """Index a few images, and write what searches find beside the gallery."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    model = write_model(HOME / "tiny.onnx")
    photos = HOME / "photos"
    write_images(photos, 12)
    with Gallery(HOME / "gallery", model=str(model), detector="own") as gallery:
        gallery.add(photos)
        expected = {
            path.name: [
                [hit.path.name, round(hit.score, 4)]
                for hit in gallery.search(path, limit=25, exact=True, verify=False)
            ]
            for path in sorted(photos.iterdir())
        }
    (HOME / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main()
