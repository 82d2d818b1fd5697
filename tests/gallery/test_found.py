"""Whether a search says that the gallery has the thing: absent things are not found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from glocal.cli.demo_photos import gather
from glocal.gallery import Gallery
from glocal.ranking.evidence import Verdict


def painting(seed: int, side: int = 240) -> Image.Image:
    """Blobs and blocks of many sizes and colours."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 255, (7, 7, 3)).astype(np.uint8)
    image = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
    for _ in range(60):
        x, y, w, h = (int(v) for v in (*rng.integers(0, side, 2), *rng.integers(6, side // 4, 2)))
        image.paste(tuple(int(v) for v in rng.integers(0, 255, 3)), (x, y, x + w, y + h))
    return image


def in_frame(content: Image.Image, frame: int = 0, turn: float = 0.0) -> Image.Image:
    """A painting in a patterned frame on a wall, photographed a little askew."""
    rng = np.random.default_rng([frame, 7])
    tile = Image.fromarray(rng.integers(0, 255, (12, 12, 3)).astype(np.uint8))
    tile = tile.resize((60, 60), Image.Resampling.BICUBIC)
    carved = Image.new("RGB", (360, 360))
    for x in range(0, 360, 60):
        for y in range(0, 360, 60):
            carved.paste(tile.rotate(90 * ((x + y) // 60 % 4)), (x, y))
    carved.paste(content, (60, 60))
    wall = Image.new("RGB", (460, 440), tuple(int(v) for v in rng.integers(120, 220, 3)))
    wall.paste(carved, (50, 40))
    return wall.rotate(turn, Image.Resampling.BICUBIC, fillcolor=wall.getpixel((0, 0)))


PRINTS = ("cat.png", "pagoda.jpg", "astronaut.png", "coffee-cup.png")


def a_print(path: Path) -> Image.Image:
    """A real photo as large as a painting is."""
    return ImageOps.fit(Image.open(path).convert("RGB"), (240, 240))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(6):
        painting(seed, 360).save(folder / f"plain {seed}.jpg", quality=92)
        in_frame(painting(10 + seed)).save(folder / f"framed {seed}.jpg", quality=92)
    for path in gather(tmp_path_factory.mktemp("demo")):
        if path.name in PRINTS:
            in_frame(a_print(path)).save(folder / f"framed {path.stem}.jpg", quality=92)
    with Gallery(folder.parent / "found gallery") as opened:
        opened.add(folder)
        yield opened


def test_a_photo_of_a_thing_that_is_there_is_found(gallery: Gallery) -> None:
    crop = painting(3, 360).crop((40, 30, 330, 320)).filter(ImageFilter.GaussianBlur(0.7))
    result = gallery.search(pixels(crop), limit=5)
    assert (result.found, result.matches) == (True, 1)
    assert result.hits[0].path.name == "plain 3.jpg"
    assert result.hits[0].evidence.verdict.is_match
    assert {hit.evidence.verdict for hit in result.hits[1:]} == {Verdict.SIMILAR}
    first = gallery.search(pixels(crop), limit=1)
    assert (first.found, first.matches) == (True, 1)


@pytest.mark.parametrize("seed", range(100, 104))
def test_a_thing_that_is_absent_is_not_found(gallery: Gallery, seed: int) -> None:
    result = gallery.search(pixels(painting(seed, 320)))
    assert (result.found, result.matches) == (False, 0)


@pytest.mark.parametrize("seed", range(100, 104))
def test_another_painting_in_the_same_frame_is_not_found(gallery: Gallery, seed: int) -> None:
    result = gallery.search(pixels(in_frame(painting(seed), turn=2)))
    assert result.hits[0].path.name.startswith("framed")
    assert result.hits[0].evidence.inliers > 10  # on the frame
    assert (result.found, result.matches) == (False, 0)


@pytest.mark.parametrize("name", PRINTS)
def test_the_same_print_in_its_frame_is_found(gallery: Gallery, tmp_path: Path, name: str) -> None:
    (path,) = [path for path in gather(tmp_path) if path.name == name]
    result = gallery.search(pixels(in_frame(a_print(path), turn=3)))
    assert result.hits[0].path.name == f"framed {path.stem}.jpg"
    assert (result.found, result.matches) == (True, 1)


def test_what_was_not_verified_is_not_called_absent(gallery: Gallery) -> None:
    query = pixels(painting(100, 320))
    assert gallery.search(query, verify=False).found is None
    assert gallery.search_vector(gallery.query(query).vector).found is None
    blank = gallery.search(np.full((90, 90, 3), 130, np.uint8))
    assert (blank.found, blank.matches) == (None, 0)


def test_the_own_file_is_found_without_verification(gallery: Gallery) -> None:
    path = next(gallery.folder.parent.rglob("plain 1.jpg"))
    result = gallery.search(path, verify=False)
    assert (result.found, result.matches) == (True, 1)


def test_images_without_local_features_leave_it_open(gallery: Gallery, tmp_path: Path) -> None:
    painting(1, 360).save(tmp_path / "one.jpg")
    with Gallery(tmp_path / "gallery") as other:
        other.add(tmp_path / "one.jpg")
        with sqlite3.connect(other.folder / "catalog.sqlite") as catalog:
            catalog.execute("DELETE FROM local_features")
        catalog.close()
        assert other.search(pixels(painting(100, 320))).found is None
    assert gallery.search(pixels(painting(100, 320))).found is False
