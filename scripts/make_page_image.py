"""Make docs/page.png again: the page with the demo's photographs, as Chromium shows it.

pip install -e '.[demo,serve]' playwright && apt-get install chromium fonts-inter
python scripts/make_page_image.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from glocal.cli.demo_photos import alter, gather
from glocal.gallery import Gallery

IMAGE = Path(__file__).resolve().parent.parent / "docs" / "page.png"
SHOWN, CHANGE = "motorcycle", "off a wall"
SIZE: ViewportSize = {"width": 1280, "height": 760}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]


def main() -> None:
    """Index, serve, search in the page, take its images and put them below one another."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = gather(folder / "photos")
        altered = alter(photos, folder / "altered")
        chosen = next(a.path for a in altered if (a.original.stem, a.change) == (SHOWN, CHANGE))
        query = chosen.rename(folder / "query.jpg")
        for collage in (a.path for a in altered if a.change == "collage"):
            collage.unlink()  # a busy image among clear ones
        with Gallery(folder / "gallery") as gallery:
            gallery.add(folder / "photos", folder / "altered")
        command = [sys.executable, "-m", "glocal", "serve", "--port", "0"]
        env = {**os.environ, "GLOCAL_GALLERY": f"{folder}/gallery"}
        with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as server:
            try:
                said = server.stderr.readline() if server.stderr else ""
                shots = _take(re.findall(r"http://\S+", said)[0], query, folder)
            finally:
                server.terminate()
        _join(shots).quantize(256).save(IMAGE, optimize=True)


def _take(address: str, query: Path, folder: Path) -> list[Path]:
    shots = [folder / "search.png", folder / "pair.png"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page(viewport=SIZE, reduced_motion="reduce")
        page.set_default_timeout(120_000)
        page.goto(address)
        with page.expect_file_chooser() as chooser:
            page.click("text=Choose an image")
        chooser.value.set_files(query)
        page.wait_for_selector(".search li.tile img.there")
        _settled(page)
        page.screenshot(path=shots[0])
        page.locator("li.tile > a").nth(0).click()
        page.wait_for_selector(".match", state="attached")
        _settled(page)
        page.screenshot(path=shots[1])
        browser.close()
    return shots


def _settled(page: Page) -> None:
    """Wait for every image in sight."""
    page.wait_for_load_state("networkidle")
    page.mouse.move(5, 400)
    page.wait_for_timeout(500)


def _join(paths: list[Path]) -> Image.Image:
    shots = [Image.open(path).convert("RGB") for path in paths]
    joined = Image.new("RGB", (shots[0].width, sum(one.height for one in shots) + 16), "white")
    joined.paste(shots[0], (0, 0))
    joined.paste(shots[1], (0, shots[0].height + 16))
    return joined


if __name__ == "__main__":
    main()
