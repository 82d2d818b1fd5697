"""A gallery whose model holds several encoders is filled and searched by any of them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("onnx", reason="the model of these tests is put together by onnx")

from glocal.cli.app import glocal
from glocal.errors import ModelError
from glocal.gallery import Gallery
from made_stitches import NAMES, join, listed
from tiny_model import DIM, SIDE, write_model

FAST, SLOW = 1e-6, 1e6
CARD = {
    "version": 1, "licence": "MIT", "dim": DIM,
    "input": {"area": SIDE * SIDE, "multiple": SIDE, "max_aspect": 1},
}  # fmt: skip


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Three encoders that see nearly the same, of which the last is the slowest here."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")
    times = iter([1.0, 2.0, 3.0] * 9)
    monkeypatch.setattr(
        "glocal.encoders.onnx.measured", lambda names, *_, **__: [next(times) for _ in names]
    )
    near = dict(zip(NAMES, (0.9, 0.95, 1.0), strict=True))
    parts = {
        name: write_model(tmp_path / f"{name}.onnx", seed=number, near=near[name])
        for number, name in enumerate(NAMES)
    }
    return str(join(parts, tmp_path / "joined.onnx", listed(), CARD))


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(12):
        patches = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8).repeat(6, 0).repeat(6, 1)
        Image.fromarray(patches).save(folder / f"{number:02}.png")
    return sorted(folder.iterdir())


def test_stitches_fill_one_gallery_and_each_searches_all_of_it(
    model: str, photos: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "gallery"
    with Gallery(place, model=model, detector="own", budget_ms=FAST) as fast:
        assert fast.encoder.stitch == "small"
        assert [each.name for each in fast.stitches] == list(NAMES)
        fast.add(*photos[:6])
    with Gallery(place, create=False, budget_ms=2.5) as between:
        assert between.encoder.stitch == "switch-1"
        between.add(*photos[6:9])
    with Gallery(place, create=False) as slow:
        assert slow.encoder.stitch == "large"
        slow.add(*photos[9:])
    for budget in (None, FAST, 2.5, SLOW):
        with Gallery(place, create=False, budget_ms=budget) as gallery:
            assert gallery.info().images == 12
            assert gallery.space == "one"
            for photo in photos:
                (best,) = gallery.search(photo, limit=1, verify=False).hits
                assert best.path == photo, (budget, photo)


def test_the_commands_take_a_budget_and_show_the_stitches(
    model: str, photos: list[Path], tmp_path: Path
) -> None:
    place, run = ["-g", str(tmp_path / "gallery")], CliRunner().invoke
    indexed = run(glocal, ["index", str(photos[0]), *place, "--model", model, "--budget-ms", "9"])
    assert "1 added" in indexed.output, indexed.exception
    asked = ["search", str(photos[0]), *place, "--budget-ms", "9", "--no-verify", "--json"]
    assert json.loads(run(glocal, asked).output)["hits"][0]["path"] == str(photos[0])
    listed = run(glocal, ["info", *place]).output
    assert "stitches     small: 0.10 GMAC" in listed
    assert "large: 0.30 GMAC, about 50 % of the time of the slowest" in listed
    told = run(glocal, ["models", model, *place]).output
    assert "stitch switch-1: 0.20 GMAC" in told
    as_json = json.loads(run(glocal, ["info", "--json", *place]).output)
    assert [each["name"] for each in as_json["stitches"]] == list(NAMES)


def test_a_budget_without_stitches_is_refused_before_there_is_a_gallery(
    model: str, photos: list[Path], tmp_path: Path
) -> None:
    del model
    place, one = ["-g", str(tmp_path / "gallery")], str(tmp_path / "large.onnx")
    wrong = ["index", str(photos[0]), *place, "--model", one, "--budget-ms", "20"]
    refused = CliRunner().invoke(glocal, wrong, standalone_mode=False)
    assert isinstance(refused.exception, ModelError)
    assert "a budget of 20 ms leaves nothing to choose" in str(refused.exception)
    assert not (tmp_path / "gallery").exists()
    with Gallery(tmp_path / "gallery", model=one, detector="own") as gallery:
        assert gallery.stitches == ()
    with pytest.raises(ModelError, match="leaves nothing to choose"):
        Gallery(tmp_path / "gallery", create=False, budget_ms=20)
    without = CliRunner().invoke(glocal, ["info", *place]).output
    assert "GMAC" not in without


def test_a_budget_ends_with_the_model_that_it_was_set_for(
    model: str, photos: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "gallery"
    other = write_model(tmp_path / "other.onnx", seed=5, near=0.8, space="other")
    with Gallery(place, model=model, detector="own", budget_ms=FAST) as gallery:
        gallery.add(*photos)
        with Gallery(place, create=False) as upgrading:
            upgrade = upgrading.upgrade()
            upgrade.begin(upgrade.propose(str(other)))
        with caplog.at_level(logging.WARNING):
            (best,) = gallery.search(photos[2], limit=1, verify=False).hits
        assert best.path == photos[2]
        assert "there is no budget any more" in caplog.text
        assert gallery.budget_ms is None
