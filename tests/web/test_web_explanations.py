"""Explanations: whatever ways of explaining a server is given get the two images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from running import Server, photo, problem

from glocal.errors import QueryError
from glocal.gallery import Gallery
from glocal.web.app import create_app
from glocal.web.explaining import Explanation, Pair
from glocal.web.settings import Settings


def sizes(pair: Pair) -> Explanation:
    """Explains nothing but how large the two images are."""
    shapes = {"query": pair.query.shape[:2], "hit": pair.hit.shape[:2]}
    return Explanation(json.dumps(shapes).encode(), "application/json")


def refuse(pair: Pair) -> Explanation:
    raise QueryError("nothing to see")


@pytest.fixture
def page(home: Path, tmp_path: Path) -> Iterator[TestClient]:
    with Gallery(home / "gallery", create=False) as gallery:
        app = create_app(gallery, Settings(thumbnails=tmp_path), {"sizes": sizes, "refuse": refuse})
        with TestClient(app, base_url="http://localhost") as client:
            yield client


def test_an_explanation_gets_query_region_and_hit(page: TestClient) -> None:
    answer = page.post("/v1/search", files={"image": photo(3, size=(200, 100))}).json()
    asked = {"query": answer["query"], "hit": answer["hits"][0]["id"], "kind": "sizes"}
    assert page.get("/v1/explanation", params=asked).json() == {
        "query": [100, 200],
        "hit": [120, 160],
    }
    part = page.get("/v1/explanation", params=asked | {"region": "0,0,0.5,0.5"}).json()
    assert part["query"] == [50, 100]
    again = page.get("/v1/explanation", params=asked | {"query": asked["hit"]}).json()
    assert again["query"] == [120, 160]
    for wrong, status in (
        ({"kind": "poetry"}, 404),
        ({"kind": "refuse"}, 422),
        ({"region": "1,2"}, 422),
        ({"hit": "0" * 32}, 404),
        ({"query": "u-" + "a" * 22}, 404),
    ):
        response = page.get("/v1/explanation", params=asked | wrong)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
    assert page.get("/v1/info").json()["features"]["explanations"] == ["refuse", "sizes"]


def test_an_unknown_kind_is_answered_with_those_there_are(server: Server) -> None:
    name = next(server.client().images()).id
    said = problem(server.ask("GET", f"/v1/explanation?query={name}&hit={name}&kind=lines"), 404)
    kinds = "concepts, correspondences, eigen, fewest, matches, regions, similarity"
    assert f"use: {kinds}" in said["detail"]
