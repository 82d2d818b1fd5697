"""Figures as files: whole, self-contained, with nothing in a name that could break out."""

from __future__ import annotations

import base64
import io
import itertools
import re
from pathlib import Path
from xml.etree import ElementTree as Tree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from glocal.errors import QueryError
from glocal.explain.figure import Figure, Patch, Photo, Ring, Stroke, Words
from glocal.explain.figure_png import text_width
from glocal.explain.page import Page, Panel, at, shortened

SVG = "{http://www.w3.org/2000/svg}"
RED, GREEN = (255, 0, 0), (0, 255, 0)
PHOTO = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)

FIGURE = Figure(
    400,
    300,
    "a title",
    (
        Photo(0, 0, 100, 60, PHOTO, "a photo"),
        Patch(200, 0, 50, 40, RED),
        Stroke(((150, 100), (250, 100)), GREEN, 6),
        Stroke(((300, 200), (380, 200), (380, 280), (300, 280)), GREEN, 6, closed=True),
        Ring((100, 200), 20, RED, 6),
        Ring((200, 200), 20, RED, 6, filled=True),
        Words((20, 290), "Words", 30),
    ),
)


def decoded(figure: Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(figure.encoded("png"))))


def elements(figure: Figure) -> Tree.Element:
    return Tree.fromstring(figure.encoded("svg").decode("utf-8"))  # noqa: S314 - our own


def test_shapes_are_where_they_should_be_in_png() -> None:
    page = decoded(FIGURE)
    assert page.shape == (300, 400, 3)
    wanted = np.asarray(Image.fromarray(PHOTO).resize((100, 60)), int)
    assert np.abs(page[:60, :100].astype(int) - wanted).mean() < 30
    assert page[20, 225].tolist() == [255, 0, 0]
    assert page[20, 251].tolist() == [255, 255, 255]
    assert page[100, 200].tolist() == [0, 255, 0]
    assert page[105, 200].max() < 60  # the dark edge of the line
    assert page[240, 380].tolist() == [0, 255, 0]
    assert page[240, 300].tolist() == [0, 255, 0]  # the side that closes it
    assert page[200, 100].tolist() == [255, 255, 255]
    assert page[200, 200].tolist() == [255, 0, 0]
    assert page[200, 77:85, 0].max() > 200
    assert (page[262:292, 20:110] < 100).any()


def test_svg_has_the_same_shapes() -> None:
    root = elements(FIGURE)
    assert root.get("viewBox") == "0 0 400 300"
    assert root[0].text == "a title"
    tags = [element.tag.removeprefix(SVG) for element in root]
    assert tags == [
        *["title", "rect", "image", "rect", "polyline", "polyline"],
        *["polygon", "polygon", "circle", "circle", "circle", "circle", "text"],
    ]
    image = root[2]
    data = image.get("href", "").removeprefix("data:image/jpeg;base64,")
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (50, 30)
    assert (image.get("x"), image.get("width"), image.get("height")) == ("0", "100", "60")
    assert root[-1].text == "Words"
    assert root[5].get("points") == "150,100 250,100"


def test_svg_asks_for_nothing_from_elsewhere() -> None:
    text = FIGURE.encoded("svg").decode()
    assert set(re.findall(r'(?:href|src)="([^,"]*)', text)) == {"data:image/jpeg;base64"}
    assert "script" not in text
    assert "url(" not in text


def test_a_photo_in_svg_is_no_larger_than_it_is_shown() -> None:
    large = np.zeros((3000, 4000, 3), np.uint8)
    root = elements(Figure(100, 80, "", (Photo(0, 0, 100, 75, large, ""),)))
    data = root[2].get("href", "").split(",")[1]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (200, 150)


@settings(deadline=None)
@given(st.text(st.characters(), max_size=30))
def test_any_text_stays_text(text: str) -> None:
    figure = Figure(200, 80, text, (Words((5, 50), text + "<b>&\"'", 20),))
    root = elements(figure)
    assert [element.tag.removeprefix(SVG) for element in root] == ["title", "rect", "text"]
    assert (root[2].text or "").endswith("<b>&\"'")


@pytest.mark.parametrize("text", ["Grüße, 東京.jpg", "\udcff\u202e\n.jpg", "", "🗼"])
def test_any_name_can_be_drawn(text: str) -> None:
    assert decoded(Figure(300, 60, text, (Words((5, 40), text, 30),))).shape == (60, 300, 3)


def test_the_ending_of_the_file_decides_the_format(tmp_path: Path) -> None:
    FIGURE.save(tmp_path / "a.PNG")
    FIGURE.save(tmp_path / "a.svg")
    with Image.open(tmp_path / "a.PNG") as image:
        assert image.format == "PNG"
    assert (tmp_path / "a.svg").read_bytes() == FIGURE.encoded("svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.PNG", "a.svg"]
    with pytest.raises(QueryError, match=r"a\.jpg .*\.png or \.svg"):
        FIGURE.save(tmp_path / "a.jpg")


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FIGURE.save(tmp_path / "nowhere" / "a.png")
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OSError, match=r"a\.png"):
        FIGURE.save(tmp_path / "a.png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_long_name_loses_its_middle() -> None:
    name = "a very long name of an image that nobody would have typed 0001.jpg"
    short = shortened(name, 20, 200)
    assert text_width(short, 20) <= 200 < text_width(name, 20)
    assert name.startswith(short.split("...")[0])
    assert short.endswith("0001.jpg")
    assert shortened("short", 20, 200) == "short"
    assert shortened(name, 20, 1) == "..."


@pytest.mark.parametrize(
    "shapes",
    [
        [(10, 15), (15, 10)],
        [(1, 1)],
        [(1, 20_000), (20_000, 1)],
        [(9, 16), (9, 16), (9, 16)],
        [(5000, 10), (5000, 10)],
    ],
)
def test_photos_of_a_row_fit_and_keep_their_shape(shapes: list[tuple[int, int]]) -> None:
    page = Page("Title")
    panels = [Panel(np.zeros((*s, 3), np.uint8), "Query", "x" * 300, "") for s in shapes]
    boxes = page.row(panels)
    figure = page.figure()
    assert len({box[3] for box in boxes}) == 1
    for (left, top, width, height), (rows, columns) in zip(boxes, shapes, strict=True):
        assert left >= 0
        assert left + width <= figure.width
        assert top + height <= figure.height
        assert width / height == pytest.approx(min(max(columns / rows, 1 / 6), 6))
    for before, after in itertools.pairwise(boxes):
        assert before[0] + before[2] < after[0]
    for words in figure.shapes:
        if isinstance(words, Words):
            end = words.place[0] + text_width(words.text, words.size)
            assert end <= figure.width
    assert at((10, 20, 100, 50), (0.5, 1)) == (60, 70)


def test_rows_of_a_grid_have_one_height() -> None:
    page = Page("Title")
    shapes = [(30, 20), (20, 30), (30, 30), (20, 40), (20, 30)]
    page.grid([Panel(np.zeros((*s, 3), np.uint8), "", "", "") for s in shapes], 3)
    photos = [s for s in page.figure().shapes if isinstance(s, Photo)]
    assert len({round(p.height, 6) for p in photos}) == 1
    assert [round(p.width / p.height, 2) for p in photos] == [0.67, 1.5, 1.0, 2.0, 1.5]
    assert len({p.top for p in photos}) == 2
