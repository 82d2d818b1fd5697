"""Contact sheets: self-contained, safe with any text, complete or not there."""

from __future__ import annotations

import base64
import io
import itertools
import os
import re
import stat
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from glocal.errors import ImageError
from glocal.explain.sheet import SheetHit, SheetRow, thumbnail, write_sheet
from glocal.explain.sheet_style import STYLE

JPEG = thumbnail(np.full((30, 40, 3), 90, np.uint8))


class Page(HTMLParser):
    """Everything in a page that could matter: its elements, its attributes and its words."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in {"meta", "link", "img", "wbr", "path"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    def values(self, tag: str, attribute: str) -> list[str]:
        return [v for t, a, v in self.attributes if (t, a) == (tag, attribute)]


def page_of(folder: Path, rows: list[SheetRow], **texts: str) -> tuple[str, Page]:
    path = folder / "sheet.html"
    write_sheet(path, rows, **{"title": "Results", **texts})
    source = path.read_bytes().decode("utf-8")
    return source, Page(source)


def row_of(*hits: SheetHit) -> SheetRow:
    return SheetRow("query.jpg", JPEG, hits)


# Pieces that break out of markup, styles and lines, among any characters at all.
MARKUP = "</p> <script>x()</script> \" ' ><img/src=x/onerror=y> &amp; <!-- ]]> </style> / …"
CONTROLS = "\u202e \u2066 \n \r \0 \udcff \ud800 \u2028"
PIECES = [*MARKUP.split(" "), *CONTROLS.split(" "), " "]
hostile = st.lists(st.sampled_from(PIECES) | st.text(st.characters(), max_size=6), max_size=6).map(
    "".join
)


@settings(deadline=None)
@given(text=hostile)
def test_no_text_adds_an_element_or_an_attribute(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.getbasetemp()

    def page(text: str) -> tuple[str, Page]:
        row = SheetRow(text, JPEG, [SheetHit(text, 0.5, text, JPEG, True)], text)
        return page_of(folder, [row], title=text, summary=text)

    source, hurt = page("x" + text)
    _, plain = page("x")
    optional = {"wbr"}  # after a separator; and a path with one has a folder to name
    tags = [tag for tag in hurt.tags if tag not in optional]
    if "folder" in [v for t, _, v in hurt.attributes if t == "p"]:
        tags.remove("p")
        tags.remove("span")
    assert sorted(tags) == sorted(plain.tags)
    assert {a[:2] for a in hurt.attributes} == {a[:2] for a in plain.attributes}
    assert hurt.open == []
    assert hurt.unbalanced == []
    # Nothing that could reorder, hide or break the lines around it reaches the page.
    assert not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", source
    )


@pytest.mark.parametrize(
    ("matches", "headings", "lists"),
    [
        (None, [], [3]),
        (0, ["No match. The most similar images"], [3]),
        (1, ["Found in 1 image", "Similar, but no match"], [1, 2]),
        (3, ["Found in 3 images"], [3]),
        (9, ["Found in 9 images"], [3]),  # more matches than the sheet shows
    ],
)
def test_a_heading_parts_matches_from_similar_images(
    tmp_path: Path, matches: int | None, headings: list[str], lists: list[int]
) -> None:
    hits = [SheetHit(f"{rank}.jpg", 0.5) for rank in range(1, 4)]
    source, page = page_of(tmp_path, [SheetRow("q.jpg", None, hits, matches=matches)])
    assert re.findall("<h3>(.*?)</h3>", source) == headings
    shown = [part.count('class="rank"') for part in source.split("<ol")[1:]]
    assert shown == lists
    assert page.unbalanced == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Zürich 東京 🙂.jpg", "Zürich 東京 🙂.jpg"),
        ("a<b>&\"c'.jpg", "a<b>&\"c'.jpg"),
        ("photo\u202egpj.exe", "photo\\u202egpj.exe"),
        (os.fsdecode(b"caf\xe9.jpg"), "caf\\xe9.jpg"),
        ("half \ud83d.jpg", "half \\ud83d.jpg"),
        ("two\nlines\t.jpg", "two\\nlines\\t.jpg"),
        ("bell\x07.jpg", "bell\\x07.jpg"),
        ("next\x85line.jpg", "next\\x85line.jpg"),
        ("tag\U000e0041.jpg", "tag\\U000e0041.jpg"),
        ("none\ufffe.jpg", "none\\ufffe.jpg"),
        ("خانه\u200cها.jpg", "خانه\u200cها.jpg"),
    ],
)
def test_a_name_is_shown_with_its_invisible_characters_escaped(
    tmp_path: Path, name: str, shown: str
) -> None:
    _, page = page_of(tmp_path, [row_of(SheetHit(f"some folder/{name}", 0.5, "", JPEG))])
    assert shown in page.words
    assert page.values("li", "title") == [f"some folder/{shown}"]
    assert page.values("img", "alt") == ["Query: query.jpg", shown]


def test_the_page_asks_for_nothing_from_outside(tmp_path: Path) -> None:
    hits = [
        SheetHit("a/b.jpg", 0.9, "12 points", JPEG, True),
        SheetHit("c.jpg", 0.2, "", None, False),
    ]
    source, page = page_of(tmp_path, [SheetRow("q.jpg", JPEG, hits, "note")], summary="some")
    assert "script" not in page.tags
    assert not re.search(
        r"https?:|//|@import|url\(", source.replace(base64.b64encode(JPEG).decode(), "")
    )
    addresses = [v for _, name, v in page.attributes if name in {"src", "href", "action", "srcset"}]
    assert len(addresses) == 3
    assert all(address.startswith("data:") for address in addresses)
    policy = page.values("meta", "content")
    assert any("default-src 'none'" in value for value in policy)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_images_are_embedded_byte_for_byte(tmp_path: Path) -> None:
    other = thumbnail(np.zeros((9, 9, 3), np.uint8))
    _, page = page_of(tmp_path, [row_of(SheetHit("a.jpg", 0.5, "", other))])
    shown = [
        base64.b64decode(v.removeprefix("data:image/jpeg;base64,"))
        for v in page.values("img", "src")
    ]
    assert shown == [JPEG, other]


def test_hits_come_in_order_with_rank_score_evidence_and_verdict(tmp_path: Path) -> None:
    hits = [
        SheetHit("holiday/right.jpg", 0.875, "31 points agree", JPEG, True),
        SheetHit("wrong.jpg", -0.25, "", JPEG, False),
        SheetHit("unknown.jpg", 0.0, "", JPEG),
    ]
    source, page = page_of(tmp_path, [row_of(*hits)])
    text = "|".join(word for word in page.words if word.strip())
    order = ["Rank |1|Right|Score |0.88|right.jpg|In |holiday|31 points agree"]
    order += ["Rank |2|Wrong|Score |−0.25|wrong.jpg", "Rank |3|Score |0.00|unknown.jpg"]
    assert "|".join(order) in text
    assert re.findall(r"width:([\d.]+)%", source.split("</style>")[1]) == ["87.5", "0.0", "0.0"]
    assert page.values("li", "class") == ["right", "wrong"]


@pytest.mark.parametrize(
    ("scores", "widths", "texts"),
    [
        ([0.5, 1.0], ["50.0", "100.0"], ["0.50", "1.00"]),
        ([50, 200], ["25.0", "100.0"], ["50", "200"]),
        ([float("nan"), float("inf")], ["0.0", "0.0"], ["none", "none"]),
    ],
)
def test_bars_run_to_one_or_to_the_highest_score(
    tmp_path: Path, scores: list[float], widths: list[str], texts: list[str]
) -> None:
    source, page = page_of(tmp_path, [row_of(*(SheetHit("a.jpg", score) for score in scores))])
    assert re.findall(r"width:([\d.]+)%", source.split("</style>")[1]) == widths
    after = [page.words[i + 1] for i, word in enumerate(page.words) if word == "Score "]
    assert after == texts


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    _, page = page_of(tmp_path, [SheetRow("q", None, []), row_of(SheetHit("gone.jpg", 0.5))])
    assert page.words.count("No preview") == 2
    assert "Nothing was found." in page.words
    assert len(page.values("img", "src")) == 1
    _, empty = page_of(tmp_path, [])
    assert "There is nothing to show." in empty.words


def test_headings_name_the_page_and_each_query(tmp_path: Path) -> None:
    _, page = page_of(tmp_path, [row_of(), row_of()], title="Found")
    assert [tag for tag in page.tags if re.fullmatch(r"h\d", tag)] == ["h1", "h2", "h2"]
    assert (
        page.values("section", "aria-labelledby") == page.values("h2", "id") == ["row-1", "row-2"]
    )
    assert page.values("html", "lang") == ["en"]
    assert page.words.count("Found") == 2


def test_a_failure_keeps_the_older_sheet_and_leaves_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "sheet.html"
    path.write_text("older", encoding="utf-8")
    broken = [row_of(), SheetRow("q", "no bytes", [])]  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        write_sheet(path, broken, title="new")
    assert path.read_text(encoding="utf-8") == "older"
    assert os.listdir(tmp_path) == ["sheet.html"]


def test_an_older_sheet_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / ("s" * 250 + ".html")  # as long as a name can be
    path.write_text("OLDER" * 100_000, encoding="utf-8")
    write_sheet(str(path), [row_of()], title="new")
    assert path.read_text(encoding="utf-8").endswith("</html>\n")
    assert "OLDER" not in path.read_text(encoding="utf-8")
    assert os.listdir(tmp_path) == [path.name]


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_sheet(tmp_path / "nowhere" / "sheet.html", [], title="t")


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.html").symlink_to("real.html")
    (tmp_path / "real.html").touch()
    write_sheet(tmp_path / "link.html", [], title="through")
    assert (tmp_path / "link.html").is_symlink()
    assert "through" in (tmp_path / "real.html").read_text(encoding="utf-8")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name here")
def test_a_pipe_is_written_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        write_sheet(pipe, [row_of()], title="t")
        read, _ = reader.communicate(timeout=20)
    assert read.endswith(b"</html>\n")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@settings(deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90), side=st.integers(1, 100))
def test_a_thumbnail_keeps_the_aspect_within_its_side(height: int, width: int, side: int) -> None:
    array = np.full((height, width, 3), (200, 40, 90), np.uint8)
    with Image.open(io.BytesIO(thumbnail(array, side))) as small:
        assert small.format == "JPEG"
        assert max(small.size) == min(side, max(height, width))
        zoom = max(small.size) / max(height, width)
        assert abs(small.width - max(1, width * zoom)) <= 1
        assert abs(small.height - max(1, height * zoom)) <= 1
        assert np.abs(np.asarray(small, np.int16) - (200, 40, 90)).max() <= 6


def test_a_thumbnail_takes_any_memory_order() -> None:
    array = np.arange(60 * 40 * 3, dtype=np.uint8).reshape(60, 40, 3)
    turned = array[::-1, ::-1]
    assert thumbnail(turned) == thumbnail(turned.copy())


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_a_thumbnail_of_what_is_not_an_image_is_refused(array: np.ndarray) -> None:
    with pytest.raises(ImageError, match=re.escape(str(array.shape))):
        thumbnail(array)


def test_a_thumbnail_without_pixels_is_refused() -> None:
    with pytest.raises(ImageError, match="is 0 pixels; give at least 1"):
        thumbnail(np.zeros((4, 4, 3), np.uint8), 0)


def luminance(rgb: np.ndarray) -> float:
    """Relative luminance of an sRGB colour in [0, 1] (WCAG 2)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_every_text_contrasts_with_every_background() -> None:
    schemes = re.findall(r":root \{([^}]*)\}", STYLE)[:2]
    assert len(schemes) == 2
    for scheme, behind in itertools.product(schemes, (0.0, 1.0)):
        colours = {
            name: np.array([int(value[i : i + 2], 16) / 255 for i in range(0, len(value), 2)])
            for name, value in re.findall(r"--(\w+): #(\w+);", scheme)
        }
        # A pill lies on an image, at worst one as black or as white as its own text.
        pill, alpha = colours["pill"][:3], colours["pill"][3]
        grounds = [colours["ground"], colours["tile"], pill * alpha + behind * (1 - alpha)]
        for text, ground in itertools.product(("ink", "quiet", "right", "wrong"), grounds):
            low, high = sorted([luminance(colours[text]), luminance(ground)])
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
