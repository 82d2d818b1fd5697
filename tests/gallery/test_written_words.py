"""Words in images: read when a gallery wants them, batch by batch, and dropped when not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_folders import write_images
from PIL import Image, ImageDraw, ImageFont

from glocal.encoders.written_words import WordReader
from glocal.errors import MissingExtraError
from glocal.gallery import Gallery, batches, reading


class Reader:
    """Says of each image how bright it is, and fails when it is told to."""

    read_so_far = 0
    fails_after = 10**9

    def read(self, image: np.ndarray) -> str:
        if Reader.read_so_far >= Reader.fails_after:
            raise KeyboardInterrupt
        Reader.read_so_far += 1
        return f"mandel {int(image.mean())}"


@pytest.fixture
def gallery(
    open_gallery: Callable[..., Gallery], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Gallery:
    write_images(tmp_path / "photos", 9)
    gallery = open_gallery()
    gallery.add(tmp_path / "photos")
    monkeypatch.setattr(reading, "WordReader", Reader)
    monkeypatch.setattr(batches, "BATCH", 2)
    monkeypatch.setattr(Reader, "read_so_far", 0)
    return gallery


def test_words_in_images_are_read_only_where_they_are_wanted(
    gallery: Gallery, tmp_path: Path
) -> None:
    gallery.refresh()
    assert Reader.read_so_far == 0
    assert gallery.read_texts(ocr=True) == 9
    hits = gallery.search(text="mandel").hits
    assert len(hits) == 9
    assert hits[0].words["image"].startswith("mandel ")
    write_images(tmp_path / "photos", 2, first=9)
    gallery.refresh()  # later runs read what is new, and nothing twice
    assert Reader.read_so_far == 11
    gallery.read_texts(ocr=False)
    assert not gallery.search(text="mandel").hits
    gallery.refresh()
    assert Reader.read_so_far == 11


def test_a_run_that_is_stopped_goes_on(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reader, "fails_after", 5)
    with pytest.raises(KeyboardInterrupt):
        gallery.read_texts(ocr=True)
    kept = len(gallery.search(text="mandel"))
    assert 1 <= kept <= 5
    monkeypatch.setattr(Reader, "fails_after", 10**9)
    gallery.refresh()
    assert len(gallery.search(text="mandel")) == 9
    assert Reader.read_so_far == 5 + 9 - kept


def test_without_the_extra_nothing_is_decided(
    open_gallery: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rapidocr", None)
    gallery = open_gallery()
    with pytest.raises(MissingExtraError, match=r"glocal\[ocr\]"):
        gallery.read_texts(ocr=True)
    gallery.refresh()


def test_the_real_reader_reads_what_is_drawn() -> None:
    pytest.importorskip("rapidocr", reason="the extra ocr is not installed")
    image = Image.new("RGB", (420, 120), "white")
    font = ImageFont.load_default(48)
    ImageDraw.Draw(image).text((20, 30), "ALPRO MANDEL", "black", font)
    assert "ALPRO" in WordReader().read(np.asarray(image))
