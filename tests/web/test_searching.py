"""Searching over HTTP gives what the gallery itself gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import Server, form, photo, problem

from glocal.client import Client, ServerError
from glocal.gallery import Gallery
from glocal.ranking.evidence import Verdict


@pytest.fixture
def client(server: Server) -> Client:
    return server.client()


def test_an_upload_finds_what_the_gallery_finds(client: Client, home: Path) -> None:
    changed = photo(3, size=(400, 300))
    answer = client.search(changed, limit=5)
    with Gallery(home / "gallery", create=False) as gallery:
        files = gallery.search(changed, limit=5).hits
    assert [hit.path for hit in answer.hits] == [hit.path for hit in files]
    for hit, other in zip(answer.hits, files, strict=True):
        assert hit.score == pytest.approx(other.score, abs=2e-3)
    assert [hit.rank for hit in answer.hits] == [1, 2, 3, 4, 5]
    assert answer.more
    assert {"queue", "decode", "encode", "search"} <= answer.timings_ms.keys()


def test_the_very_file_is_said_to_be_identical(client: Client, home: Path) -> None:
    answer = client.search(home / "images" / "2.jpg", limit=2)
    assert answer.hits[0].evidence.verdict is Verdict.IDENTICAL_FILE
    assert answer.hits[1].evidence.verdict is not Verdict.IDENTICAL_FILE
    part = client.search(home / "images" / "2.jpg", region=(0, 0, 0.5, 0.5), limit=1)
    assert part.hits[0].evidence.verdict is not Verdict.IDENTICAL_FILE


def test_found_is_what_the_gallery_says(client: Client, home: Path) -> None:
    own = home / "images" / "2.jpg"
    answer = client.search(own, limit=2)
    assert (answer.found, answer.matches) == (True, 1)
    later = client.search(query=answer.query, limit=2, offset=2)
    assert (later.found, later.matches) == (True, 1)  # of the whole result, not of this page
    part = {"region": (0.0, 0.0, 0.9, 0.9), "verify": False}
    assert client.search(own, **part).found is None
    absent = photo(77, size=(400, 300))
    with Gallery(home / "gallery", create=False) as gallery:
        expected = gallery.search(absent)
    (batched,) = client.search_batch([absent])
    for answer in (client.search(absent), batched):
        assert (answer.found, answer.matches) == (expected.found, expected.matches)
    assert not expected.found


def test_words_find_what_the_gallery_finds_alone_and_with_an_image(
    client: Client, home: Path
) -> None:
    answer = client.search(text="trip 5", limit=3)
    with Gallery(home / "gallery", create=False) as gallery:
        alone = gallery.search(text="trip 5", limit=3)
        both = gallery.search(photo(3), text="trip", limit=3)
    assert [(h.path, h.words) for h in answer] == [(h.path, h.words) for h in alone]
    assert (answer.query, answer.text, answer.found) == ("trip 5", "trip 5", None)
    answer = client.search(photo(3), text="trip", limit=3)
    assert [hit.path for hit in answer] == [hit.path for hit in both]
    assert answer.query.startswith("u-")
    for more in ({"region": (0, 0, 1, 1)}, {"like": [photo(1)]}, {"small_objects": True}):
        with pytest.raises(ServerError, match="words alone takes no") as caught:
            client.search(text="trip", **more)
        assert caught.value.status == 422


def test_two_regions_find_what_the_gallery_finds_and_take_nothing_else(
    client: Client, home: Path
) -> None:
    left, right = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)
    both = {"region": left, "second_region": right}
    answer = client.search(photo(3), **both, limit=3)
    with Gallery(home / "gallery", create=False) as gallery:
        files = gallery.search_relation(photo(3), left, right, limit=3)
    assert [hit.path for hit in answer] == [hit.path for hit in files]
    assert [hit.second_box for hit in answer] == [hit.second_box for hit in files]
    turned = client.search(photo(3), **both, relation="right-of", limit=3)
    assert turned.hits[0].score < answer.hits[0].score
    refused = (
        (both | {"text": "trip"}, "combined with text"),
        (both | {"like": [photo(1)]}, "combined with like and unlike"),
        (both | {"verify": False}, "combined with verify=false"),
        (both | {"relation": "on"}, "relation"),
        ({"second_region": right}, "give region, the first"),
        ({"region": left, "relation": "above"}, "give region and second_region"),
        ({"region": left, "second_region": left}, "the same"),
    )
    for wrong, said in refused:
        with pytest.raises(ServerError, match=said) as caught:
            client.search(photo(3), **wrong)
        assert caught.value.status == 422


def test_a_sketch_finds_what_the_gallery_finds_and_takes_nothing_else(
    client: Client, home: Path
) -> None:
    answer = client.search(photo(3), sketch=True, limit=3)
    with Gallery(home / "gallery", create=False) as gallery:
        files = gallery.search_sketch(photo(3), limit=3)
    assert [hit.path for hit in answer] == [hit.path for hit in files]
    assert answer.found is None
    for wrong, said in (
        ({"sketch": True, "any_view": True}, "has to be learnt first"),
        ({"sketch": True, "text": "trip"}, "a sketch cannot be combined with text"),
        ({"sketch": True, "region": (0, 0, 1, 1)}, "a sketch cannot be combined with region"),
        ({"any_view": True}, "give sketch=true"),
    ):
        with pytest.raises(ServerError, match=said) as caught:
            client.search(photo(3), **wrong)
        assert caught.value.status == 422


def test_copies_are_one_hit_with_several_paths(client: Client, home: Path) -> None:
    answer = client.search(home / "images" / "5.jpg", limit=1000)
    assert len(answer.hits[0].paths) == 2
    ids = [hit.id for hit in answer.hits]
    assert len(ids) == len(set(ids)) == 11
    assert not answer.more


def test_pages_put_together_are_the_whole(client: Client, home: Path) -> None:
    whole = client.search(home / "images" / "5.jpg", limit=11).hits
    query = client.search(home / "images" / "5.jpg", limit=1).query
    paged = []
    for offset in range(0, 12, 4):
        answer = client.search(query=query, limit=4, offset=offset)
        assert answer.more == (offset < 8)
        paged += answer.hits
    assert [hit.rank for hit in paged] == list(range(1, 12))
    assert [hit.id for hit in paged] == [hit.id for hit in whole]


def test_an_image_of_the_gallery_can_be_the_query(client: Client) -> None:
    name = next(client.images()).id
    answer = client.search(query=name)
    assert answer.query == name
    assert answer.hits[0].id == name
    assert answer.hits[0].evidence.verdict is Verdict.IDENTICAL_FILE


def test_more_images_and_conditions_reach_the_gallery(client: Client, home: Path) -> None:
    images = [home / "images" / f"{n}.jpg" for n in range(3)]
    answer = client.search(
        images[0], like=[images[1]], unlike=[images[2]], where="taken >= 2011", limit=3
    )
    with Gallery(home / "gallery", create=False) as gallery:
        expected = gallery.search(
            images[0], like=[images[1]], unlike=[images[2]], where="taken >= 2011", limit=3
        )
    assert [hit.path for hit in answer.hits] == [hit.path for hit in expected.hits]
    for hit, other in zip(answer.hits, expected.hits, strict=True):
        assert hit.score == pytest.approx(other.score, abs=2e-3)


def test_ids_stand_for_images_in_json_too(server: Server, client: Client) -> None:
    first, second = (image.id for image, _ in zip(client.images(), range(2), strict=False))
    body = json.dumps({"query": first, "unlike": [second], "limit": 3}).encode()
    status, _, text = server.ask("POST", "/v1/search", body, {"Content-Type": "application/json"})
    assert status == 200
    answer = json.loads(text)
    assert answer["hits"][0]["id"] == first
    assert second not in [hit["id"] for hit in answer["hits"][:1]]
    body, headers = form(("query", first), ("unlike", second), ("limit", "3"))
    assert json.loads(server.ask("POST", "/v1/search", body, headers)[2])["hits"] == answer["hits"]


def test_a_region_is_of_the_upright_image(client: Client, home: Path) -> None:
    turned = home / "images" / "trip" / "turned.jpg"
    assert client.search(turned, region=(90, 150, 10, 10), limit=1).hits
    with pytest.raises(ServerError, match="no pixel of the image of 100 x 160") as caught:
        client.search(turned, region=(150, 10, 10, 10))
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([], "exactly one query"),
        ([("image", b"no image")], "unsupported format"),
        ([("image", b"")], "empty"),
        ([("image", photo(0)), ("where", "colour = red")], "expected folder, camera"),
        ([("image", photo(0)), ("where", "near 48,2 within 5 km")], "--show-positions"),
        ([("image", photo(0)), ("region", "1,2,3")], "four numbers"),
        ([("image", photo(0)), ("region", "nan,0,1,1")], "finite"),
        ([("image", photo(0)), ("limit", "0")], "limit"),
        ([("image", photo(0)), ("limit", "5"), ("limit", "6")], "twice"),
        ([("image", photo(0)), ("colour", "red")], "colour"),
        ([("image", "text")], "not a file"),
        ([("limit", photo(0))], "cannot be a file"),
        ([("query", "u-aaaaaaaaaaaaaaaaaaaaaa")], "no longer keeps"),
        ([("query", "0" * 32)], "no image with the id"),
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


def test_a_least_score_leaves_out_what_is_no_match(server: Server, home: Path) -> None:
    client = server.client()
    query = home / "images" / "0.jpg"
    hits = client.search(query, limit=11).hits
    least = sorted(hit.score for hit in hits)[-3]
    result = client.search(query, limit=11, min_score=least)
    assert [hit.id for hit in result] == [
        hit.id for hit in hits if hit.score >= least or hit.rank <= result.matches
    ]
    assert 3 <= len(result.hits) < len(hits)
    alone = client.search(query, limit=2, min_score=1.0)
    assert [hit.path.name for hit in alone] == ["0.jpg"]
    rest = client.search(query, limit=2, offset=2, min_score=1.0)
    assert (rest.hits, rest.more) == ((), False)
    body, headers = form(("query", hits[0].id), ("min_score", "1.5"))
    problem(server.ask("POST", "/v1/search", body, headers), 422)
