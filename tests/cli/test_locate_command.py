"""`glocal locate`, `glocal search --near` and `glocal export`, as people and programs use them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from glocal.cli.app import glocal
from glocal.errors import QueryError
from glocal.gallery import Gallery
from glocal.geography.gazetteer import Town

LUND = Town("Lund", "Sweden", "", 55.7, 13.2, 87_000)


def photo(seed: int, place: tuple[float, float] | None = None, side: int = 240) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0131] = "tests"
    if place is not None:
        exif.get_ifd(0x8825).update(
            {1: "N", 2: (place[0], 0.0, 0.0), 3: "E", 4: (place[1], 0.0, 0.0)}
        )
    file = io.BytesIO()
    picture = Image.fromarray(coarse).resize((side, side), Image.Resampling.NEAREST)
    picture.save(file, "JPEG", quality=92, exif=exif)
    return file.getvalue()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of three photos: one from Lund, one from Rome, one from nowhere."""
    home = tmp_path_factory.mktemp("home")
    (home / "photos").mkdir()
    for name, seed, place in (
        ("lund", 1, (55.7, 13.2)),
        ("rome", 2, (41.9, 12.5)),
        ("no", 3, None),
    ):
        (home / "photos" / f"{name}.jpg").write_bytes(photo(seed, place))
    (home / "query.jpg").write_bytes(photo(1, side=200))
    with Gallery(home / "gallery") as gallery:
        gallery.add(home / "photos")
    return home


def run(home: Path, *arguments: str) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(glocal, [command, "-g", str(home / "gallery"), *rest])


def only_lund(name: str) -> tuple[Town, list[Town]]:
    if name.lower() != "lund":
        raise QueryError(f"no town is named {name!r}")
    return LUND, []


def test_a_photo_of_the_same_thing_says_where_with_its_photos(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glocal.cli.locate.gazetteer.is_available", lambda: False)
    query = str(home / "query.jpg")
    said = run(home, "locate", query)
    assert said.exit_code == 0
    assert "likely: within 0.2 km of 55.700,13.200; 1 photo of the same thing" in said.stdout
    assert "lund.jpg" in said.stdout
    found = json.loads(run(home, "locate", query, "--json").stdout)
    (place,) = found["places"]
    assert (place["confidence"], place["matches"], place["hits"][0]["path"]) == (
        "likely", 1, str(home / "photos" / "lund.jpg"),
    )  # fmt: skip
    assert (found["silence"], found["position"]) == (None, None)


def test_what_cannot_be_said_is_said(home: Path, tmp_path: Path) -> None:
    (tmp_path / "other.jpg").write_bytes(photo(99))
    query = str(tmp_path / "other.jpg")
    assert "cannot say: " in run(home, "locate", query).stdout
    assert (
        "no photo of the gallery says"
        in run(home, "locate", query, "--where", "width > 9000").stdout
    )
    bad = run(home, "locate", str(home / "gallery"), query, "--json")
    assert bad.exit_code == 1
    assert ["error" in json.loads(line) for line in bad.stdout.splitlines()] == [True, False]


def test_a_search_is_narrowed_to_a_place_which_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glocal.gallery.where.town_named", only_lund)
    query = str(home / "query.jpg")
    for near in ("Lund", "55.7,13.2"):
        said = run(home, "search", query, "--near", near, "--within", "5", "--json")
        (hit,) = json.loads(said.stdout.splitlines()[-1])["hits"]
        assert hit["path"].endswith("lund.jpg")
    assert (
        "near Lund, Sweden (87,000 people), within 5 km"
        in run(home, "search", query, "--near", "lund", "--within", "5").stderr
    )
    unknown = run(home, "search", query, "--near", "Nowhere", "--json")
    assert unknown.exit_code == 1
    assert "no town is named 'Nowhere'" in json.loads(unknown.stdout)["error"]
    assert run(home, "search", query, "--within", "5").exit_code == 2


def test_a_gallery_is_exported(home: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    said = run(home, "export", str(tmp_path / "t.parquet"), "--where", "near 55.7,13.2")
    assert "wrote 1 photo to" in said.stdout
    (row,) = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert row["product_id"] == str(home / "photos" / "lund.jpg")
    assert row["grid_cell"] == "620U_82R"
    assert run(home, "export", str(tmp_path / "no" / "t.parquet")).exit_code != 0
