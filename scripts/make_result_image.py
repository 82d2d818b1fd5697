"""Make docs/result.png: the demo's searches for one photo, as Chromium renders them.

pip install -e '.[demo]' && apt-get install chromium
python scripts/make_result_image.py
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from glocal.cli.demo_photos import alter, gather
from glocal.cli.sheets import sheet_row
from glocal.explain.sheet import write_sheet
from glocal.gallery import Gallery

IMAGE = Path(__file__).resolve().parent.parent / "docs" / "result.png"
SHOWN = "motorcycle"  # has a second view besides its altered copies
CHANGES = ("off a wall", "dark", "collage", "second view")
WIDTH, HEIGHT = 1120, 1480


def main() -> None:
    """Index, search, write the contact sheet, and take a screenshot of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = gather(folder / "photos")
        altered = alter(photos, folder / "altered")
        with Gallery(folder / "gallery") as gallery:
            gallery.add(folder / "photos")
            rows = [
                sheet_row(
                    gallery.search(item.path, limit=5),
                    title=item.title,
                    expected=item.original,
                    relative_to=folder,
                )
                for item in altered
                if item.original.stem == SHOWN and item.change in CHANGES
            ]
        write_sheet(folder / "sheet.html", rows, title="glocal: find the same thing")
        browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        where = [f"--user-data-dir={folder}/browser", f"--window-size={WIDTH},{HEIGHT}"]
        page = [f"--screenshot={IMAGE}", f"file://{folder}/sheet.html"]
        subprocess.run([*browser, *where, *page], check=True, capture_output=True)
    with Image.open(IMAGE) as shot:
        shot.convert("RGB").quantize(256).save(IMAGE, optimize=True)


if __name__ == "__main__":
    main()
