"""Every combination of ways to ask either works or is refused with the reason.

On the command line, over HTTP and in Python the same combinations work. A refusal is a sentence
that names what cannot be combined or what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tokenizers", reason="the extra text is not installed")

import click
from click.testing import CliRunner
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw

from glocal.cli.app import glocal
from glocal.errors import GlocalError
from glocal.gallery import Gallery
from glocal.web.app import create_app
from glocal.web.settings import Settings
from made_pair import write_pair, write_photos
from tiny_model import write_model

LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)
SEARCH = [
    "photo",
    "text",
    "change",
    "region",
    "like",
    "unlike",
    "where",
    "rerank",
    "small",
    "exact",
    "unverified",
    "whole",
]
WAYS = [*SEARCH, "sketch", "any-view", "second", "relation"]
ALONE = {"any-view": "sketch", "second": "region", "relation": "second"}
"""What has no meaning without another way; both are then given."""


@dataclass(frozen=True)
class Home:
    """A gallery that knows words and drawings, and what to ask it with."""

    gallery: Gallery
    server: TestClient
    query: Path
    other: Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = tmp_path_factory.mktemp("home")
    photos = write_photos(home / "photos", 34)
    for number in range(24):  # which drawings can be learnt from
        image = Image.new("RGB", (96, 96), (240, 240, 240))
        ImageDraw.Draw(image).rectangle((10, 10 + number, 60 + number, 80), (30, 60, 9 * number))
        image.save(photos / f"shape{number}.png")
    model = str(write_model(home / "tiny.onnx"))
    with Gallery(home / "gallery", model=model, detector="own", regions="none") as gallery:
        gallery.add(photos)
        gallery.add_text_model(write_pair(home / "pair"))
        gallery.learn_sketches()
        app = create_app(gallery, Settings(thumbnails=home / "cache"), {})
        with TestClient(app, base_url="http://localhost") as server:
            yield Home(gallery, server, photos / "shape3.png", photos / "shape9.png")


def over_http(home: Home, ways: set[str]) -> str | None:
    """The reason of a refusal; `None` where it works."""
    own, other = (each.read_bytes() for each in (home.query, home.other))
    files = [
        (name, ("f.png", data))
        for way, name, data in (
            ("photo", "image", own), ("like", "like", other), ("unlike", "unlike", other),
        )
        if way in ways
    ]  # fmt: skip
    fields: dict[str, str | tuple[str, str]] = {
        "text": "red", "change": "blue", "where": "width > 1", "rerank": "dba",
        "small": ("small_objects", "true"), "exact": "true", "unverified": ("verify", "false"),
        "whole": ("regions", "false"), "sketch": "true", "any-view": ("any_view", "true"),
        "region": ",".join(map(str, LEFT)), "second": ("second_region", ",".join(map(str, RIGHT))),
        "relation": "left-of",
    }  # fmt: skip
    data: dict[str, str] = {"limit": "3"}
    for way in ways & fields.keys():
        value = fields[way]
        name, text = value if isinstance(value, tuple) else (way, value)
        data[name] = text
    answer = (
        home.server.post("/v1/search", files=files, data=data)
        if files
        else home.server.post("/v1/search", json=_plain(data))
    )
    if answer.status_code == 200:
        assert "hits" in answer.json()
        return None
    assert answer.status_code == 422, answer.text
    return str(answer.json()["detail"])


def _plain(data: dict[str, str]) -> dict[str, object]:
    words = {"true": True, "false": False}
    return {name: int(v) if name == "limit" else words.get(v, v) for name, v in data.items()}


def on_the_command_line(home: Home, ways: set[str]) -> str | None:
    arguments = ["search", "-g", str(home.gallery.folder), "-n", "3", "--json"]
    box, other = (",".join(map(str, region)) for region in (LEFT, RIGHT))
    said = {
        "photo": [str(home.query)], "text": ["--text", "red"], "change": ["--change", "blue"],
        "region": ["--region", box], "second": ["--region", other],
        "relation": ["--relation", "left-of"], "like": ["--like", str(home.other)],
        "unlike": ["--unlike", str(home.other)], "where": ["--where", "width > 1"],
        "rerank": ["--rerank", "dba"], "small": ["--small-objects"], "exact": ["--exact"],
        "unverified": ["--no-verify"], "whole": ["--no-regions"], "sketch": ["--sketch"],
        "any-view": ["--any-view"],
    }  # fmt: skip
    for way in sorted(ways, key=WAYS.index):
        arguments += said[way]
    result = CliRunner().invoke(glocal, arguments)
    if result.exit_code == 0:
        return None
    error = result.exception
    assert isinstance(error, SystemExit | GlocalError | click.ClickException), repr(error)
    return str(error) if isinstance(error, GlocalError) else result.output


def in_python(home: Home, ways: set[str]) -> str | None:
    """Of what `Gallery.search` takes; drawings and relations have methods of their own."""
    given: dict[str, Any] = {
        "text": {"text": "red"}, "change": {"change": "blue"}, "region": {"region": LEFT},
        "like": {"like": [home.other]}, "unlike": {"unlike": [home.other]},
        "where": {"where": "width > 1"}, "rerank": {"rerank": "dba"},
        "small": {"small_objects": True}, "exact": {"exact": True},
        "unverified": {"verify": False}, "whole": {"regions": False},
    }  # fmt: skip
    more = {name: value for way in ways - {"photo"} for name, value in given[way].items()}
    query = home.query if "photo" in ways else None
    try:
        home.gallery.search(query, limit=3, **more)
    except GlocalError as error:
        return str(error)
    return None


def asked(first: str) -> list[set[str]]:
    """Combinations with one way: alone, with another, and both with a photo."""
    later = WAYS[WAYS.index(first) :]
    found: list[set[str]] = []
    for pair in [(first,), *combinations(later, 2)]:
        if first not in pair:
            continue
        ways = set(pair)
        for way in (*pair, *(ALONE.get(way, way) for way in pair)):
            ways.add(ALONE.get(way, way))
        for each in (ways, ways | {"photo"}):
            if each not in found:
                found.append(each)
    return found


@pytest.mark.parametrize("first", WAYS)
def test_it_works_or_the_reason_is_told_and_everywhere_alike(home: Home, first: str) -> None:
    for ways in asked(first):
        answers = {"http": over_http(home, ways), "cli": on_the_command_line(home, ways)}
        if ways <= set(SEARCH):
            answers["python"] = in_python(home, ways)
        told = f"{sorted(ways)}: {answers}"
        assert len({answer is None for answer in answers.values()}) == 1, told
        for answer in answers.values():
            assert answer is None or len(answer.split()) >= 4, told
            assert answer is None or "Traceback" not in answer, told


def test_the_usual_combinations_work(home: Home) -> None:
    for ways in (
        {"photo"}, {"text"}, {"photo", "text"}, {"photo", "change"}, {"photo", "sketch"},
        {"photo", "sketch", "any-view"}, {"photo", "region", "second"},
        {"photo", "region", "second", "relation"}, {"photo", "like", "unlike"},
        {"photo", "region", "text", "like"}, {"photo", "change", "where"},
        {"photo", "sketch", "where"},
    ):  # fmt: skip
        assert over_http(home, ways) is None
        assert on_the_command_line(home, ways) is None
