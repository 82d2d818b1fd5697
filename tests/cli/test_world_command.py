"""`glocal world` and `glocal locate --world`: a world model is trained on a gallery and asked."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from glocal.cli.app import glocal
from glocal.errors import ModelMismatchError
from glocal.gallery import Gallery
from glocal.geography.sphere import distances_km
from glocal.geography.world_model import WorldModel

pytest.importorskip("torch")

COUNT = 130


def photo(place: tuple[int, int], *, said: bool = True, seed: int = 0) -> bytes:
    """A colour that tells the place: red with the latitude, blue with the longitude."""
    colour = np.array([(place[0] + 60) * 2, 128, (place[1] + 180) * 0.7])
    noise = np.random.default_rng(seed).normal(0, 4, (96, 96, 3))
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0131] = "tests"
    if said:
        exif.get_ifd(0x8825).update({
            1: "N" if place[0] >= 0 else "S", 2: (float(abs(place[0])), 0.0, 0.0),
            3: "E" if place[1] >= 0 else "W", 4: (float(abs(place[1])), 0.0, 0.0),
        })  # fmt: skip
    image = Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8))
    image.save(file, "JPEG", quality=92, exif=exif)
    return file.getvalue()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of photos from all over the world, and the world model of it."""
    home, random = tmp_path_factory.mktemp("home"), np.random.default_rng(0)
    (home / "photos").mkdir()
    for at in range(COUNT):
        place = (int(random.integers(-60, 61)), int(random.integers(-180, 181)))
        (home / "photos" / f"{at}.jpg").write_bytes(photo(place, seed=at))
    with Gallery(home / "gallery") as gallery:
        gallery.add(home / "photos")
    made = run(home, "world", str(home / "w.npz"), "--steps", "150")
    assert made.exit_code == 0, made.output
    assert f"world model of {COUNT} photos" in made.stdout
    assert "by chance" in made.stdout
    return home


def run(home: Path, *arguments: str) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(glocal, [command, "-g", str(home / "gallery"), *rest])


def test_a_photo_of_nowhere_gets_places_with_their_spread(home: Path, tmp_path: Path) -> None:
    right = []
    for at, place in enumerate(((40, -100), (-30, 150), (50, 20), (-20, -60), (10, 90))):
        query = tmp_path / f"{at}.jpg"
        query.write_bytes(photo(place, said=False, seed=1_000 + at))
        found = json.loads(
            run(home, "locate", str(query), "--world", str(home / "w.npz"), "--json").stdout
        )
        first = found["world"][0]
        assert 0 < first["share"] <= 1
        right.append(distances_km(place, [(first["latitude"], first["longitude"])])[0] <= 4_000)
    assert sum(right) >= 4
    said = run(home, "locate", str(query), "--world", str(home / "w.npz"))
    assert said.exit_code == 0
    assert "the world model guesses: within " in said.stdout
    assert "% of its belief" in said.stdout
    assert "placed within" in said.stderr
    assert "world model" not in run(home, "locate", str(query)).output


def test_the_gallerys_own_photos_come_first(home: Path) -> None:
    lines = run(
        home, "locate", str(home / "photos" / "3.jpg"), "--world", str(home / "w.npz")
    ).stdout.splitlines()
    guesses = [at for at, line in enumerate(lines) if "world model guesses" in line]
    assert guesses
    assert all("world model" not in line for line in lines[: guesses[0]])
    assert "the photo says" in lines[0]


def test_the_same_from_python_and_from_a_table(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    query = photo((40, -100), said=False, seed=7)
    with Gallery(home / "gallery", create=False) as gallery:
        vectors, positions = gallery.located_vectors()
        assert vectors.shape == (COUNT, gallery.model.dim)
        assert positions.shape == (COUNT, 2)
        by_file = gallery.locate(query, world=home / "w.npz")
        by_model = gallery.locate(query, world=WorldModel.load(home / "w.npz"))
        assert by_file.world == by_model.world != ()
        assert gallery.locate(query).world == ()
    assert run(home, "export", str(tmp_path / "t.parquet")).exit_code == 0
    again = tmp_path / "again.npz"
    made = run(
        home, "world", str(again), "--table", str(tmp_path / "t.parquet"), "--steps", "20", "--json"
    )
    assert json.loads(made.stdout)["photos"] == COUNT
    shown = run(home, "world", str(again), "--show")
    assert "within 2,500 km" in shown.stdout


def test_what_cannot_be_is_refused(home: Path, tmp_path: Path) -> None:
    query = tmp_path / "q.jpg"
    query.write_bytes(photo((0, 0), said=False))
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    for file, said in (("bad.npz", "damaged or no world model"), ("no.npz", "none comes with")):
        result = run(home, "locate", str(query), "--world", str(tmp_path / file))
        assert result.exit_code == 1
        assert said in str(result.exception)
    few = run(home, "world", str(tmp_path / "w.npz"), "--where", "latitude > 50")
    assert few.exit_code != 0
    both = run(home, "world", str(tmp_path / "w.npz"), "--where", "width > 1", "--table", "t")
    assert both.exit_code == 2
    world = WorldModel.load(home / "w.npz")
    from dataclasses import replace

    other = WorldModel(
        replace(world.card, space="other"), world.layers, world.positions, world.locations
    )
    with (
        Gallery(home / "gallery", create=False) as gallery,
        pytest.raises(ModelMismatchError, match="space 'other'"),
    ):
        gallery.locate(query, world=other)
