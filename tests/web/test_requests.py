"""What every operation has in common: HEAD, unknown parameters, origins; and batches."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import TOKEN, Server, form, photo, problem, run_glocal

from glocal.client import ServerError
from glocal.gallery import SearchResult
from glocal.ranking.evidence import Verdict

JSON = {"Content-Type": "application/json"}
APP = "https://app.example"


# HEAD, and parameters


def test_head_has_the_status_and_headers_of_get(server: Server) -> None:
    name = next(server.client().images()).id
    paths = ["/", "/docs", "/assets/app.js", "/v1/info", "/v1/health", "/v1/images?limit=2",
             f"/v1/images/{name}", f"/v1/images/{name}/file", f"/v1/images/{name}/thumbnail",
             "/v1/openapi.json", "/v1/duplicates", "/v1/nothing", "/v1/images?limit=0"]  # fmt: skip
    for path in paths:
        status, headers, body = server.ask("HEAD", path)
        expected = server.ask("GET", path)
        assert status == expected[0], path
        assert body == b""
        for header in ("content-type", "content-length", "etag", "content-security-policy"):
            assert headers.get(header) == expected[1].get(header), (path, header)
    assert "HEAD" in server.ask("PUT", "/v1/info", b"", {"X-Glocal": "1"})[1]["allow"]


def test_head_needs_the_token_too(guarded: Server) -> None:
    assert guarded.ask("HEAD", "/v1/info")[0] == 401


def test_head_does_not_follow_a_run(own_home: Path, start: Callable[..., Server]) -> None:
    server = start(own_home, "--allow-folder", own_home / "images")
    run = server.client().index(own_home / "images")
    assert server.ask("HEAD", f"/v1/index-runs/{run.id}/events")[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/v1/info?verbose=1", "/v1/images?colour=red", "/v1/images?limit=1&limit=2",
     "/v1/duplicates?kind=copy", "/v1/search?limit=5"],
)  # fmt: skip
def test_unknown_parameters_are_refused(server: Server, path: str) -> None:
    method = "POST" if "search" in path else "GET"
    body, headers = form(("image", photo(0))) if method == "POST" else (None, {})
    said = problem(server.ask(method, path, body, headers), 422)
    assert said["type"] == "urn:glocal:invalid"
    assert path.partition("?")[2].partition("=")[0] in said["detail"]


# Options of a search


def test_options_of_a_search_reach_the_gallery(server: Server, home: Path) -> None:
    client = server.client()
    image = home / "images" / "2.jpg"
    plain = client.search(image, limit=5, verify=False)
    assert {hit.scores.keys() >= {"combined"} for hit in plain} == {False}
    assert "verify" not in plain.timings_ms
    assert "rerank" in client.search(image, rerank="aqe").timings_ms
    assert "rerank" not in client.search(image, rerank="none").timings_ms
    found = client.search(image, small_objects=True, limit=3, exact=True)
    assert found.hits[0].path == image
    with pytest.raises(ServerError, match="leave verification on") as caught:
        client.search(image, small_objects=True, verify=False)
    assert caught.value.status == 422
    with pytest.raises(ServerError, match="magic") as caught:
        client.search(image, rerank="magic")
    assert caught.value.status == 422


def test_images_of_the_gallery_stand_for_themselves(server: Server) -> None:
    client = server.client()
    first, second, third = list(client.images(order="path"))[:3]
    found = client.search(first, like=[second], unlike=[third], limit=11)
    assert found.uploads == ()
    assert found.query == first.id
    again = client.search(query=found.query, like=[second], unlike=[third], limit=11)
    assert [hit.id for hit in again] == [hit.id for hit in found]


def test_files_and_ids_are_examples_alike(server: Server, home: Path) -> None:
    images = {one.path.name: one for one in server.client().images()}
    sent = (home / "images" / "1.jpg").read_bytes()
    parts: list[tuple[str, bytes | str]] = [("image", photo(0)), ("limit", "11")]
    by_file = server.ask("POST", "/v1/search", *form(*parts, ("like", sent), ("unlike", photo(2))))
    ids = [("like", images["1.jpg"].id), ("unlike", images["2.jpg"].id)]
    by_id = server.ask("POST", "/v1/search", *form(*parts, *ids))
    orders = [[hit["id"] for hit in json.loads(each[2])["hits"]] for each in (by_file, by_id)]
    assert len(json.loads(by_file[2])["uploads"]) == 3
    assert orders[0][0] == orders[1][0]
    assert set(orders[0]) == set(orders[1])


# Batches


def test_a_batch_has_one_answer_or_problem_each(server: Server, home: Path) -> None:
    client = server.client()
    known = next(client.images(order="path"))
    gone = known.__class__(**{name: getattr(known, name) for name in known.__slots__} | {
        "id": "0" * 32})  # fmt: skip
    found = client.search_batch([known, photo(3), b"not an image", gone], limit=2)
    assert isinstance(found[0], SearchResult)
    assert found[0].query == found[0].hits[0].id == known.id
    assert isinstance(found[1], SearchResult)
    alone = client.search(photo(3), limit=2)
    assert [hit.id for hit in found[1]] == [hit.id for hit in alone]
    assert [each.status for each in found[2:] if isinstance(each, ServerError)] == [422, 404]


def test_a_batch_in_json(server: Server) -> None:
    ids = [one.id for one in server.client().images()][:3]
    body = json.dumps({"query": ids, "limit": 1}).encode()
    status, _, text = server.ask("POST", "/v1/search/batch", body, JSON)
    assert status == 200
    hits = [item["result"]["hits"][0] for item in json.loads(text)["results"]]
    assert [hit["id"] for hit in hits] == ids
    assert {hit["evidence"]["verdict"] for hit in hits} == {Verdict.IDENTICAL_FILE.value}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "0 queries"),
        ({"query": ["0" * 32] * 17}, "query"),
        ({"query": ["0" * 32], "where": "colour = red"}, "expected folder"),
        ({"query": ["0" * 32], "region": "0,0,1,1"}, "region"),
    ],
)
def test_a_batch_is_bounded_and_checked(server: Server, body: dict[str, Any], said: str) -> None:
    answer = server.ask("POST", "/v1/search/batch", json.dumps(body).encode(), JSON)
    assert said in problem(answer, 422)["detail"]


def test_a_batch_of_too_many_images(server: Server) -> None:
    answer = server.ask("POST", "/v1/search/batch", *form(*[("image", photo(0))] * 17))
    problem(answer, 400)


# Origins


def preflight(server: Server, origin: str, method: str = "POST") -> tuple[int, dict[str, str]]:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization, x-glocal",
    }
    status, headers, _ = server.ask("OPTIONS", "/v1/images/" + "0" * 32, None, asked)
    return status, headers


def test_no_origin_is_allowed_by_default(server: Server) -> None:
    _, headers, _ = server.ask("GET", "/v1/info", None, {"Origin": APP})
    assert "access-control-allow-origin" not in headers
    status, headers = preflight(server, APP)
    assert status >= 400
    assert "access-control-allow-origin" not in headers


def test_pages_of_an_allowed_origin_use_the_api(home: Path, start: Callable[..., Server]) -> None:
    server = start(home, "--cors-origin", APP, "--cors-origin", "http://localhost:3000/")
    for origin in (APP, "http://localhost:3000"):
        status, headers, _ = server.ask("GET", "/v1/info", None, {"Origin": origin})
        assert (status, headers["access-control-allow-origin"]) == (200, origin)
        assert "Origin" in headers["vary"]
        assert "access-control-allow-credentials" not in headers
        status, headers = preflight(server, origin, "DELETE")
        assert status < 300
        assert "access-control-allow-credentials" not in headers
        assert "x-glocal" in headers["access-control-allow-headers"].lower()
    body, kind = form(("image", photo(0)))
    assert server.ask("POST", "/v1/search", body, kind | {"Origin": APP})[0] == 200
    problem(server.ask("DELETE", "/v1/images/" + "0" * 32, None, {"Origin": APP}), 404)
    for other in ("https://evil.example", "https://app.example.evil.example", "null", APP + ":1"):
        assert preflight(server, other)[0] == 403
        answer = server.ask("GET", "/v1/info", None, {"Origin": other})
        assert "access-control-allow-origin" not in answer[1]
        problem(server.ask("POST", "/v1/search", body, kind | {"Origin": other}), 403)
        problem(server.ask("DELETE", "/v1/images/" + "0" * 32, None, {"Origin": other}), 403)


def test_with_a_star_every_page_may_read_and_none_may_change(
    home: Path, start: Callable[..., Server]
) -> None:
    server = start(home, "--cors-origin", "*", env={"GLOCAL_TOKEN": TOKEN})
    bearer = {"Authorization": f"Bearer {TOKEN}", "Origin": APP}
    status, headers, _ = server.ask("GET", "/v1/info", None, bearer)
    assert (status, headers["access-control-allow-origin"]) == (200, "*")
    assert "access-control-allow-credentials" not in headers
    body, kind = form(("image", photo(0)))
    assert server.ask("POST", "/v1/search", body, kind | bearer)[0] == 200
    problem(server.ask("DELETE", "/v1/images/" + "0" * 32, None, bearer), 403)
    problem(server.ask("GET", "/v1/info", None, {"Origin": APP}), 401)


@pytest.mark.parametrize("origin", ["*", "app.example", "https://app.example/page", "ftp://a.b",
                                    "https://user@app.example", "https://"])  # fmt: skip
def test_an_origin_that_cannot_be_allowed_is_refused(home: Path, origin: str) -> None:
    with pytest.raises(Exception, match=r"set a token|is not an origin"):
        run_glocal("serve", "--port", "0", "--cors-origin", origin, home=home)
