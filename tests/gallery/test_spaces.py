"""Models that share a space are interchangeable, others are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from image_folders import image, write_images

from glocal.encoders import find_model
from glocal.encoders.model_files import file_sha256
from glocal.errors import ModelMismatchError
from glocal.gallery import Gallery
from glocal.gallery.model_id import ModelId
from tiny_model import write_model

Opener = Callable[..., Gallery]


def test_a_model_of_the_same_space_takes_the_place_of_the_gallery_s(
    open_gallery: Opener, tmp_path: Path
) -> None:
    first = write_model(tmp_path / "first.onnx", space="tiny-space")
    twin = write_model(tmp_path / "twin.onnx", space="tiny-space", version=2)
    other = write_model(tmp_path / "other.onnx", space="another")
    longer = write_model(tmp_path / "longer.onnx", space="tiny-space", version=3, seed=1)
    write_images(tmp_path / "photos", 5)
    with open_gallery(model=str(first)) as gallery:
        gallery.add(tmp_path / "photos")
        assert gallery.model.space == "tiny-space"
        stored = json.loads((gallery.folder / "gallery.json").read_text())
        assert stored["model"]["space"] == "tiny-space"
    for path, version in ((twin, 2), (longer, 3)):
        with open_gallery(model=str(path)) as gallery:
            assert gallery.encoder.card.version == version
            assert gallery.model.version == 1  # whose vectors it holds
    with open_gallery(model=str(twin)) as gallery:
        assert gallery.search(image(3), limit=1).hits[0].path.stem == "p0003"
    with pytest.raises(ModelMismatchError, match="cannot be compared"):
        open_gallery(model=str(other))


def test_a_model_without_a_space_has_one_of_its_own(model: Path) -> None:
    assert ModelId.of(model).space == f"sha256:{file_sha256(model)[:16]}"


def test_the_bundled_model_has_a_name_for_its_space() -> None:
    assert ModelId.of(find_model("glocal-lite0")).space == "glocal-lite0-v4"
