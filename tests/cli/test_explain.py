"""`glocal explain` as people and programs use it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import forked


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    names = ["query.jpg", "hit.jpg", "other.jpg"]
    for seed, name in enumerate(names):
        coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((160, 120)).save(tmp_path / name)
    return names


def glocal(
    folder: Path, *arguments: str, status: int = 0, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    env = os.environ | {"GLOCAL_GALLERY": str(folder / "gallery")}
    done = forked.run(arguments, env=env, cwd=folder, input=given, text=False)
    assert done.returncode == status, (done.stdout, done.stderr)
    assert b"Traceback" not in done.stderr
    return done


def test_a_figure_is_written_and_the_scores_equal_those_of_search(
    tmp_path: Path, photos: list[str]
) -> None:
    glocal(tmp_path, "index", ".")
    found = json.loads(glocal(tmp_path, "search", photos[0], "--json").stdout)
    scores = {Path(hit["path"]).name: hit["score"] for hit in found["hits"]}
    done = glocal(tmp_path, "explain", *photos, "-o", "why.png", "--json", "-g", "gallery")
    answer = json.loads(done.stdout)
    assert set(answer) == {"query", "kind", "hits", "output"}
    assert [hit["path"] for hit in answer["hits"]] == photos[1:]
    for hit in answer["hits"]:
        assert hit["score"] == pytest.approx(
            scores[hit["path"]], abs=2e-3
        )  # kept in half precision
    with Image.open(tmp_path / "why.png") as image:
        assert image.width == 1600


@pytest.mark.parametrize(
    "more", [["--kind", "concepts", "--concepts", "2"], ["--kind", "eigen"], ["--point", "80,60"]]
)
def test_each_kind_writes_svg(tmp_path: Path, photos: list[str], more: list[str]) -> None:
    done = glocal(tmp_path, "explain", *photos[:2], *more, "-o", "why.svg")
    assert done.stdout.decode().split()[1:] == ["hit.jpg"]
    assert b"wrote why.svg" in done.stderr
    assert (tmp_path / "why.svg").read_text(encoding="utf-8").startswith("<svg ")


def test_a_single_image_can_come_from_standard_input(tmp_path: Path, photos: list[str]) -> None:
    data = (tmp_path / photos[0]).read_bytes()
    arguments = ["explain", "-", "--kind", "eigen", "-o", "one.png", "--region", "1,2,3,4"]
    assert b"eigen takes no point" in glocal(tmp_path, *arguments, status=1, given=data).stderr
    assert glocal(tmp_path, *arguments[:-2], given=data).stdout == b""
    assert (tmp_path / "one.png").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["query.jpg", "hit.jpg"], 2, b"Missing option '-o'"),
        (["query.jpg", "hit.jpg", "-o", "a.gif"], 1, b".png or .svg"),
        (["query.jpg", "hit.jpg", "-o", "no/a.png"], 1, b"cannot be written"),
        (["query.jpg", "-o", "a.png"], 1, b"name a hit"),
        (["query.jpg", "gone.jpg", "-o", "a.png"], 1, b"gone.jpg: no such file"),
        (["query.jpg", "hit.jpg", "-o", "a.png", "--point", "7"], 2, b"not 2 numbers"),
        (["query.jpg", "hit.jpg", "-o", "a.png", "--point", "7,999"], 1, b"the point 7,999"),
        (["query.jpg", "hit.jpg", "-o", "a.png", "-g", "nowhere"], 1, b"no gallery at nowhere"),
        (["query.jpg", "hit.jpg", "-o", "a.png", "--model", "none"], 1, b"no model 'none'"),
    ],
)
def test_errors_name_what_is_wrong_and_write_nothing(
    tmp_path: Path, photos: list[str], arguments: list[str], status: int, said: bytes
) -> None:
    assert said in glocal(tmp_path, "explain", *arguments, status=status).stderr
    assert {p.name for p in tmp_path.iterdir()} == set(photos)
