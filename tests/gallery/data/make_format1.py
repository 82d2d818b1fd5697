"""Small format-1 gallery with main as of the format's last day; run with PYTHONPATH=/work/base/src:tests/gallery."""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, "/work/base/tests/gallery")
from picture_folders import write_pictures
from tiny_model import write_model

from glocal.gallery import Gallery

home = Path("/glocal-fixture")
shutil.rmtree(home, ignore_errors=True)
home.mkdir()
model = write_model(home / "tiny.onnx")
photos = home / "photos"
write_pictures(photos, 12)
write_pictures(photos / "trip", 6, first=100)
(photos / "copy").mkdir()
shutil.copy(
    sorted(photos.glob("*"))[0]
    if sorted(photos.glob("*"))[0].is_file()
    else sorted(p for p in photos.iterdir() if p.is_file())[0],
    photos / "copy" / "again.png",
)
(photos / "broken.jpg").write_bytes(b"\xff\xd8\xff not an image")
with Gallery(home / "gallery", model=str(model), detector="own") as g:
    r = g.add(photos)
    print(r)
    import io

    import numpy as np
    from PIL import Image

    b = io.BytesIO()
    Image.fromarray(np.random.default_rng(5).integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(
        b, "PNG"
    )
    print(g.add(b.getvalue(), name="kept-one"))
    out = {}
    for p in sorted(photos.rglob("*.png")):
        res = g.search(p, limit=25, exact=True, verify=False)
        out[str(p.relative_to(home))] = [
            [str(h.path.relative_to(home)), round(h.score, 4)] for h in res
        ]
    g._store().flush()
json.dump(out, open(home / "expected.json", "w"))
