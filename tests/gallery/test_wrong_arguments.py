"""What a program does by mistake is refused with glocal's own errors, and nothing is done."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glocal
from glocal.errors import GalleryError, GalleryMissingError, ImageError, QueryError
from tiny_model import write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wrong_arguments")
    write_model(made / "tiny.onnx")
    return made


@pytest.fixture(scope="module")
def gallery(folder: Path) -> Iterator[glocal.Gallery]:
    from PIL import Image

    (folder / "photos").mkdir()
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((160, 120)).save(folder / "photos" / f"{seed}.png")
    with glocal.open(folder / "gallery", model=str(folder / "tiny.onnx")) as opened:
        opened.add(folder / "photos")
        yield opened


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"limit": "3"}, "the limit is '3'; give a whole number from 1 to 10000"),
        ({"limit": 1.5}, "the limit is 1.5"),
        ({"limit": None}, "the limit is None"),
        ({"limit": True}, "the limit is True"),
        ({"limit": 0}, "the limit is 0"),
        ({"where": 5}, "where is 5, of type int; give a str"),
        ({"text": b"word"}, "text is b'word', of type bytes"),
        ({"rerank": 5}, "rerank is 5"),
        ({"change": 5}, "change is 5"),
        ({"like": "photo.jpg"}, r"like is of type str; give a list of images: like=\[image\]"),
        ({"like": Path("photo.jpg")}, "give a list of images"),
        ({"unlike": (name for name in ["photo.jpg"])}, "unlike is of type generator"),
        ({"unlike": 5}, "unlike is of type int"),
    ],
)
def test_a_search_refuses_it(
    gallery: glocal.Gallery, folder: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(QueryError, match=said):
        gallery.search(folder / "photos" / "0.png", **given)
    several = {name: value for name, value in given.items() if name != "change"}
    if several:
        with glocal.Galleries(gallery) as both, pytest.raises(QueryError, match=said):
            both.search(folder / "photos" / "0.png", **several)


def test_numpy_numbers_are_limits(gallery: glocal.Gallery, folder: Path) -> None:
    assert len(gallery.search(folder / "photos" / "0.png", limit=np.int64(2))) == 2


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "empty path names nothing"),
        (None, "None is no path"),
        (b"bytes", "b'bytes' is no path"),
        ("a\0b", "NUL character"),
    ],
)
def test_a_path_that_is_none_removes_nothing(
    gallery: glocal.Gallery, monkeypatch: pytest.MonkeyPatch, folder: Path, path: Any, said: str
) -> None:
    monkeypatch.chdir(folder)  # an empty path would be this folder, and all in it
    with pytest.raises(QueryError, match=said):
        gallery.remove(path)
    assert gallery.info().images == 3


def test_an_empty_path_adds_nothing(
    gallery: glocal.Gallery, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(QueryError, match="empty path"):
        gallery.add("")
    assert gallery.info().roots == (folder / "photos",)


@pytest.mark.parametrize("make", [pickle.dumps, copy.copy, copy.deepcopy])
def test_an_open_gallery_is_neither_pickled_nor_copied(gallery: glocal.Gallery, make: Any) -> None:
    with pytest.raises(GalleryError, match=r"pass its folder, .*, and open that there"):
        make(gallery)


def test_a_closed_gallery_says_so(folder: Path, gallery: glocal.Gallery) -> None:
    other = glocal.open(folder / "gallery")
    assert repr(other) == f"Gallery({str(folder / 'gallery')!r})"
    other.close()
    assert repr(other).endswith(" (closed)")
    with pytest.raises(GalleryError, match="is closed"), other:
        pytest.fail("it was entered")


def test_a_gallery_is_no_url() -> None:
    with pytest.raises(GalleryError, match="folder of this machine, not at s3://bucket/gallery"):
        glocal.open("s3://bucket/gallery")


def test_a_result_is_a_sequence_of_hits(gallery: glocal.Gallery, folder: Path) -> None:
    result = gallery.search(folder / "photos" / "0.png")
    assert (result[0], result[-1], result[1:]) == (
        result.hits[0], result.hits[2], result.hits[1:]
    )  # fmt: skip
    with pytest.raises(IndexError):
        result[3]


def test_a_file_object_is_named_in_errors(gallery: glocal.Gallery, folder: Path) -> None:
    (folder / "empty.jpg").write_bytes(b"")
    with (folder / "empty.jpg").open("rb") as file, pytest.raises(ImageError, match=r"empty\.jpg:"):
        gallery.search(file)
    with pytest.raises(ImageError, match="<BytesIO>"):
        gallery.search(io.BytesIO(b""))


def test_a_preferred_folder_is_one_of_the_gallery(gallery: glocal.Gallery, folder: Path) -> None:
    with pytest.raises(QueryError, match=r"nothing in a folder .*photoz, so none is preferred"):
        gallery.duplicates(prefer=[folder / "photoz"])
    assert not list(gallery.duplicates(prefer=[folder / "photos", folder]))


def test_a_gallery_that_is_gone_says_so_and_may_come_back(
    gallery: glocal.Gallery, folder: Path
) -> None:
    away = (folder / "gallery").rename(folder / "away")
    asked: list[Callable[[], object]] = [
        lambda: gallery.search(folder / "photos" / "0.png"),
        gallery.info,
        lambda: gallery.add(folder / "photos"),
    ]
    for ask in asked:
        with pytest.raises(GalleryMissingError, match="moved, deleted or unmounted"):
            ask()
    away.rename(folder / "gallery")
    assert gallery.search(folder / "photos" / "0.png")[0].path == folder / "photos" / "0.png"
