"""Words that change a query image, over HTTP: what the gallery itself finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("tokenizers", reason="the extra text is not installed")

from fastapi.testclient import TestClient

from glocal.gallery import Gallery
from glocal.web.app import create_app
from glocal.web.settings import Settings
from made_pair import write_pair, write_photos
from tiny_model import write_model


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), 34)


@pytest.fixture(scope="module")
def gallery(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    home = tmp_path_factory.mktemp("home")
    model = str(write_model(home / "tiny.onnx"))
    with Gallery(home / "gallery", model=model, detector="own", regions="none") as gallery:
        gallery.add(photos)
        gallery.add_text_model(write_pair(home / "pair"))
        yield gallery


@pytest.fixture(scope="module")
def server(gallery: Gallery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    app = create_app(gallery, Settings(thumbnails=tmp_path_factory.mktemp("cache")), {})
    with TestClient(app, base_url="http://localhost") as client:
        yield client


def test_a_change_finds_what_the_gallery_finds(
    server: TestClient, gallery: Gallery, photos: Path
) -> None:
    query = photos / "red" / "0r.png"
    expected = gallery.search(query, change="blue", limit=12)
    sent = {"image": query.read_bytes()}
    answer = server.post("/v1/search", files=sent, data={"change": "blue", "limit": "12"}).json()
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in expected.hits]
    scores = [hit["scores"]["change"] for hit in answer["hits"]]
    assert scores == pytest.approx([hit.scores["change"] for hit in expected.hits], abs=2e-3)
    assert (answer["change"], answer["text"], answer["found"]) == ("blue", None, None)
    again = {"query": answer["query"], "change": "blue", "limit": 2, "offset": 2}
    page = server.post("/v1/search", json=again).json()
    assert [hit["id"] for hit in page["hits"]] == [hit["id"] for hit in answer["hits"][2:4]]
    mine = {"query": expected.hits[0].id, "change": "green", "limit": 5}
    green = server.post("/v1/search", json=mine).json()
    assert expected.hits[0].id not in {hit["id"] for hit in green["hits"]}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "exactly one query"),
        ({"text": "red"}, "needs an image to be changed"),
        ({"query": True, "text": "red"}, "takes no text"),
        ({"query": True, "small_objects": True}, "takes no small_objects"),
        ({"query": True, "rerank": "dba"}, "takes no rerank"),
        ({"query": True, "sketch": True}, "a sketch cannot be combined with change"),
        (
            {"query": True, "region": [0, 0, 0.5, 1], "second_region": [0.5, 0, 0.5, 1]},
            "cannot be combined with change",
        ),
    ],
)
def test_what_a_change_cannot_be_combined_with_is_refused(
    server: TestClient, gallery: Gallery, photos: Path, fields: dict[str, object], said: str
) -> None:
    known = gallery.content_of(photos / "red" / "0r.png")
    named = {"query": known.hex} if fields.get("query") else {}
    answer = server.post("/v1/search", json=fields | named | {"change": "blue"})
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_the_server_says_whether_words_change_images(
    server: TestClient, gallery: Gallery, photos: Path
) -> None:
    assert server.get("/v1/info").json()["features"]["changes"] is True
    described = gallery.folder / "text.json"
    kept = described.read_bytes()
    try:
        described.write_text("{")
        assert server.get("/v1/info").json()["features"]["changes"] is False
        described.unlink()
        assert server.get("/v1/info").json()["features"]["changes"] is False
        sent = {"image": (photos / "red" / "0r.png").read_bytes()}
        answer = server.post("/v1/search", files=sent, data={"change": "blue"})
        assert answer.status_code == 422
        assert "glocal text --model" in answer.json()["detail"]
    finally:
        described.write_bytes(kept)
