"""Searching over HTTP gives what the gallery itself gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import Server, form, photo, problem

from glocal.client import Client, ServerError
from glocal.gallery import Gallery


@pytest.fixture
def client(server: Server) -> Client:
    return server.client()


def test_an_upload_finds_what_the_gallery_finds(client: Client, home: Path) -> None:
    changed = photo(3, size=(400, 300))
    answer = client.search(changed, limit=5)
    with Gallery(home / "gallery", create=False) as gallery:
        expected = gallery.search(changed, limit=6)
    files = [hit for hit in expected.hits if hit.path.name != "copy.jpg"][:5]
    assert [hit.picture.path for hit in answer.hits] == [str(hit.path) for hit in files]
    for hit, other in zip(answer.hits, files, strict=True):
        assert hit.score == pytest.approx(other.score, abs=2e-3)
    assert [hit.rank for hit in answer.hits] == [1, 2, 3, 4, 5]
    assert answer.more
    assert {"queue", "decode", "encode", "search"} <= answer.timings_ms.keys()


def test_the_very_file_is_said_to_be_identical(client: Client, home: Path) -> None:
    answer = client.search(home / "pictures" / "2.jpg", limit=2)
    assert answer.hits[0].evidence["verdict"] == "identical file"
    assert answer.hits[1].evidence["verdict"] != "identical file"
    part = client.search(home / "pictures" / "2.jpg", region=(0, 0, 0.5, 0.5), limit=1)
    assert part.hits[0].evidence["verdict"] != "identical file"


def test_copies_are_one_hit_that_counts_them(client: Client, home: Path) -> None:
    answer = client.search(home / "pictures" / "5.jpg", limit=1000)
    assert answer.hits[0].picture.copies == 2
    ids = [hit.picture.id for hit in answer.hits]
    assert len(ids) == len(set(ids)) == 11
    assert not answer.more


def test_pages_put_together_are_the_whole(client: Client, home: Path) -> None:
    whole = client.search(home / "pictures" / "5.jpg", limit=11).hits
    query = client.search(home / "pictures" / "5.jpg", limit=1).query
    paged = []
    for offset in range(0, 12, 4):
        answer = client.search(query=query, limit=4, offset=offset)
        assert answer.more == (offset < 8)
        paged += answer.hits
    assert [hit.rank for hit in paged] == list(range(1, 12))
    assert [hit.picture for hit in paged] == [hit.picture for hit in whole]


def test_a_picture_of_the_gallery_can_be_the_query(client: Client) -> None:
    name = next(client.pictures()).id
    answer = client.search(query=name)
    assert answer.query == name
    assert answer.hits[0].picture.id == name
    assert answer.hits[0].evidence["verdict"] == "identical file"


def test_more_pictures_and_conditions_reach_the_gallery(client: Client, home: Path) -> None:
    pictures = [home / "pictures" / f"{n}.jpg" for n in range(3)]
    answer = client.search(
        pictures[0], like=[pictures[1]], unlike=[pictures[2]], where="taken >= 2011", limit=3
    )
    with Gallery(home / "gallery", create=False) as gallery:
        expected = gallery.search(
            pictures[0], like=[pictures[1]], unlike=[pictures[2]], where="taken >= 2011", limit=3
        )
    assert [hit.picture.path for hit in answer.hits] == [str(hit.path) for hit in expected.hits]
    for hit, other in zip(answer.hits, expected.hits, strict=True):
        assert hit.score == pytest.approx(other.score, abs=2e-3)


def test_ids_stand_for_pictures_in_json_too(server: Server, client: Client) -> None:
    first, second = (picture.id for picture, _ in zip(client.pictures(), range(2), strict=False))
    body = json.dumps({"like": [first], "not": [second], "limit": 3}).encode()
    status, _, text = server.ask("POST", "/v1/search", body, {"Content-Type": "application/json"})
    assert status == 200
    answer = json.loads(text)
    assert answer["hits"][0]["id"] == first
    assert second not in [hit["id"] for hit in answer["hits"][:1]]
    body, headers = form(("like", first), ("not", second), ("limit", "3"))
    assert json.loads(server.ask("POST", "/v1/search", body, headers)[2])["hits"] == answer["hits"]


def test_a_region_is_of_the_upright_picture(client: Client, home: Path) -> None:
    turned = home / "pictures" / "trip" / "turned.jpg"
    assert client.search(turned, region=(90, 150, 10, 10), limit=1).hits
    with pytest.raises(ServerError, match="no pixel of the picture of 100 x 160") as caught:
        client.search(turned, region=(150, 10, 10, 10))
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([], "needs a picture"),
        ([("image", b"no picture")], "not a picture"),
        ([("image", b"")], "empty"),
        ([("image", photo(0)), ("where", "colour = red")], "expected folder, camera"),
        ([("image", photo(0)), ("where", "near 48,2 within 5 km")], "--show-positions"),
        ([("image", photo(0)), ("region", "1,2,3")], "four numbers"),
        ([("image", photo(0)), ("region", "nan,0,1,1")], "finite"),
        ([("image", photo(0)), ("limit", "0")], "limit"),
        ([("image", photo(0)), ("limit", "5"), ("limit", "6")], "twice"),
        ([("image", photo(0)), ("colour", "red")], "colour"),
        ([("image", "text")], "takes a file"),
        ([("picture", photo(0))], "takes no file"),
        ([("query", "u-aaaaaaaaaaaaaaaaaaaaaa")], "no longer kept"),
        ([("query", "0" * 32)], "no such picture"),
        ([("query", "../etc/passwd")], "query"),
        ([("url", "https://example.org/a.jpg")], "--allow-urls"),
    ],
)
def test_what_makes_no_sense_is_a_problem_that_says_so(
    server: Server, parts: list[tuple[str, bytes | str]], said: str
) -> None:
    answer = server.ask("POST", "/v1/search", *form(*parts))
    assert 400 <= answer[0] < 500
    assert said in problem(answer, answer[0])["detail"]


def test_other_bodies_are_refused(server: Server) -> None:
    for kind, status in (("text/plain", 415), ("multipart/form-data", 400)):
        problem(server.ask("POST", "/v1/search", b"x", {"Content-Type": kind}), status)
    json_type = {"Content-Type": "application/json"}
    problem(server.ask("POST", "/v1/search", b"{", json_type), 422)
    problem(server.ask("POST", "/v1/search", b'{"limit": true}', json_type), 422)
    problem(server.ask("POST", "/v1/search", b" " * 200_000, json_type), 413)
    problem(server.ask("GET", "/v1/search"), 405)
