"""Several images at once: the archive, the table, and what is bounded about them."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Server, form, photo, problem

from glocal.client import Client, ServerError
from glocal.gallery import Gallery
from glocal.images import load
from glocal.web.downloads import _unique, cell, safe_name


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_an_archive_has_the_files_and_says_what_is_missing(
    own_home: Path, start: Callable[..., Server]
) -> None:
    folder = own_home / "images"
    (folder / "trip" / "0.jpg").write_bytes(photo(70))
    (folder / "=cmd.jpg").write_bytes(photo(71))
    with Gallery(own_home / "gallery") as gallery:
        gallery.add(folder)
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*.*")}
    most = sum(sizes.values()) - sizes["trip/copy.jpg"] - 1
    client: Client = start(own_home, tight={"archive_bytes": most}).client()
    images = list(client.images(order="path"))
    with pytest.raises(ServerError, match="download them in parts") as caught:
        client.archive(images, io.BytesIO())
    assert caught.value.status == 413
    images = [image for image in images if image.path.name != "10.gif"]
    (folder / "1.jpg").unlink()
    (folder / "2.jpg").write_bytes(photo(99))
    file = io.BytesIO()
    client.archive(images, file)
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        rows = rows_of(archive.read("images.csv"))
        names = archive.namelist()
        assert names[-1] == "images.csv"
        assert {"0.jpg", "0 (2).jpg", "turned.jpg", "7.png", "8.webp", "9.jpg"} <= set(names)
        served = load(archive.read("0.jpg"))
        assert served.facts.latitude is None  # as from /v1/images/{id}/file
        by_path = {Path(row["path"]).name: row for row in rows if row["path"].startswith("/")}
    assert [row["id"] for row in rows] == [image.id for image in images]
    missing = [row for row in rows if row["problem"]]
    assert sorted(Path(row["path"]).name for row in missing) == ["1.jpg", "2.jpg"]
    assert all("missing, unreachable, or has changed" in row["problem"] for row in missing)
    assert by_path["=cmd.jpg"]["name"] == "'=cmd.jpg"
    assert by_path["turned.jpg"]["latitude"] == ""
    assert [row["name"] for row in rows_of(client.table(images[5:7]))] == ["5.jpg", "'=cmd.jpg"]


def test_what_is_selected_is_bounded(server: Server) -> None:
    headers = {"Content-Type": "application/json", "X-Glocal": "1"}

    def ask(body: object, path: str = "csv") -> tuple[int, dict[str, str], bytes]:
        return server.ask("POST", f"/v1/downloads/{path}", json.dumps(body).encode(), headers)

    unknown = "0" * 32
    (row,) = rows_of(ask({"images": [unknown, unknown]})[2])
    assert row["problem"] == "the gallery has no image with this id"
    problem(ask({"images": []}), 422)
    problem(ask({"images": [f"{n:032x}" for n in range(1001)]}), 422)
    problem(ask({"images": ["../etc"]}, "zip"), 422)
    assert ask({"images": [f"{n:032x}" for n in range(1000)]})[0] == 200
    # A page sends a form, and pages of other sites must not.
    body, kind = form(("images", f"{unknown},{'1' * 32}"))
    own = {**kind, "Origin": server.address}
    assert len(rows_of(server.ask("POST", "/v1/downloads/csv", body, own)[2])) == 2
    problem(
        server.ask("POST", "/v1/downloads/csv", body, {**kind, "Origin": "https://a.example"}), 403
    )


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("a.JPG", "image/jpeg", "a.JPG"),
        ("a.jpeg", "image/jpeg", "a.jpeg"),
        ("a.heic", "image/jpeg", "a.jpg"),
        ("my.photo", "image/jpeg", "my.photo.jpg"),
        ("../a:b?.png", "image/png", "_a_b_.png"),
        ("nul.png", "image/png", "_nul.png"),
        ("\u202egpj.png", "image/png", "_gpj.png"),
        (". .", "image/png", "image.png"),
        ("x" * 300 + ".tif", "image/jpeg", "x" * 116 + ".jpg"),
        ("scan.tiff", "application/octet-stream", "scan.tiff"),
    ],
)
def test_names_can_be_unpacked_everywhere(name: str, kind: str, expected: str) -> None:
    assert safe_name(name, kind) == expected


def test_names_in_an_archive_differ() -> None:
    taken: set[str] = set()
    names = [_unique(name, taken) for name in ("a.jpg", "A.jpg", "a (2).jpg", "a.jpg")]
    assert names == ["a.jpg", "A (2).jpg", "a (2) (2).jpg", "a (3).jpg"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell(f"a{text}") == f"a{text}"
    assert cell(-12.5) == "-12.5"
