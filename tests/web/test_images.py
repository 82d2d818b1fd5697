"""Browsing, files and thumbnails: what is shown is what was indexed, and no more."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running import TOKEN, Server, photo, problem, wait_until

from glocal.client import Client, ServerError
from glocal.gallery import GalleryImage
from glocal.images import load
from glocal.ranking.evidence import Verdict


@pytest.fixture
def by_name(server: Server) -> dict[str, GalleryImage]:
    return {one.path.name: one for one in server.client().images()}


def test_every_image_is_browsed_once(server: Server) -> None:
    client = server.client()
    latest = list(client.images(page=2))
    assert [one.taken.year for one in latest if one.taken] == [2013, 2012, 2011, 2010]
    assert all(one.taken is None for one in latest[4:])
    paths = [one.path for one in client.images(order="path", page=3)]
    assert paths == sorted(paths)
    assert len(paths) == len(latest) == 11
    assert {one.id for one in latest} == {client.image(one.id).id for one in latest}


def test_images_are_ordered_and_found_by_name(server: Server) -> None:
    client = server.client()
    sizes = [one.bytes for one in client.images(order="bytes", page=4)]
    assert sizes == sorted(sizes, reverse=True)
    names = [one.path.name for one in client.images(order="name", reverse=True, page=4)]
    assert names == sorted(names, reverse=True)
    added = list(client.images(order="added"))
    assert list(client.images(order="added", reverse=True, page=3)) == added[::-1]
    assert [one.paths[0].name for one in client.images(name="COPY")] == ["copy.jpg"]
    found = json.loads(server.ask("GET", "/v1/images?name=.jpg&limit=2&order=name")[2])
    assert (found["total"], len(found["images"])) == (7, 2)
    path = f"/v1/images?name=.jpg&order=name&reverse=true&cursor={found['next']}"
    problem(server.ask("GET", path), 422)


def test_pages_say_how_many_there_are(server: Server) -> None:
    path = "/v1/images?limit=3&where=camera%20%3D%20canon"
    first = json.loads(server.ask("GET", path)[2])
    assert (first["total"], len(first["images"])) == (4, 3)
    second = json.loads(server.ask("GET", f"{path}&cursor={first['next']}")[2])
    assert (second["total"], len(second["images"]), second["next"]) == (None, 1, None)
    assert json.loads(server.ask("GET", f"{path}&offset=3")[2])["images"] == second["images"]
    problem(server.ask("GET", f"/v1/images?order=path&cursor={first['next']}"), 422)
    problem(server.ask("GET", "/v1/images?cursor=%C3%A4"), 422)
    problem(server.ask("GET", "/v1/images?limit=501"), 422)


def test_a_copy_is_shown_where_the_condition_wants_it(server: Server, home: Path) -> None:
    client = server.client()
    trip = home / "images" / "trip"
    inside = list(client.images(where=f'folder = "{trip}"', order="path"))
    assert [one.path.name for one in inside] == sorted(p.name for p in trip.iterdir())
    assert json.loads(server.ask("GET", "/v1/duplicates")[2])["groups"][0]["images"][0][
        "paths"
    ] == [str(home / "images" / "5.jpg"), str(trip / "copy.jpg")]


def test_facets_count_what_there_is(server: Server, guarded: Server, home: Path) -> None:
    facets = json.loads(server.ask("GET", "/v1/facets")[2])
    folders = {folder["name"]: folder for folder in facets["folders"]}
    assert folders["images"]["files"] == 12
    assert folders["trip"]["files"] == 6
    assert folders["trip"]["parent"] == str(home / "images")
    assert [month["month"] for month in facets["months"]] == [
        "2013-05", "2012-05", "2011-05", "2010-05",
    ]  # fmt: skip
    assert facets["undated"] == 7
    assert facets["cameras"] == [{"camera": "Canon EOS R5", "images": 4}]
    assert facets["places"] == []
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    places = json.loads(guarded.ask("GET", "/v1/facets", None, bearer)[2])["places"]
    assert sum(place["images"] for place in places) == 5  # Pillow writes none to TIFF
    assert places[0]["latitude"] == pytest.approx(48.5)


def test_positions_are_shown_only_where_the_owner_wants(
    server: Server, guarded: Server, by_name: dict[str, GalleryImage]
) -> None:
    owner = guarded.client(token=TOKEN)
    name = by_name["0.jpg"].id
    assert by_name["0.jpg"].position is None
    assert owner.image(name).position == pytest.approx((48.5, 2.25))
    assert [p.id for p in owner.images(where="near 48.5,2.25 within 1 km")]
    assert load(owner.file(name)).facts.latitude == pytest.approx(48.5)
    problem(server.ask("GET", "/v1/images?where=not%20near%2048,2%20within%205km"), 403)


@pytest.mark.parametrize(
    ("name", "kind", "exact"),
    [
        ("0.jpg", "image/jpeg", True),
        ("turned.jpg", "image/jpeg", True),
        ("7.png", "image/png", True),
        ("8.webp", "image/webp", True),
        ("9.tiff", "image/jpeg", False),
        ("10.gif", "image/jpeg", False),
    ],
)
def test_files_come_without_their_metadata(
    server: Server, home: Path, by_name: dict[str, GalleryImage], name: str, kind: str, exact: bool
) -> None:
    image = by_name[name]
    status, headers, body = server.ask("GET", f"/v1/images/{image.id}/file")
    assert (status, headers["content-type"]) == (200, kind)
    served, stored = load(body), load(image.path)
    assert served.facts.latitude is None
    assert served.facts.taken is None
    assert served.facts.camera is None
    if exact:
        np.testing.assert_array_equal(served.array, stored.array)
    else:
        assert served.array.shape == stored.array.shape
        assert np.abs(served.array.astype(int) - stored.array).mean() < 6
    assert (image.width, image.height) == (stored.facts.width, stored.facts.height)


def test_thumbnails_are_small_upright_and_kept(
    server: Server, home: Path, by_name: dict[str, GalleryImage]
) -> None:
    image = by_name["turned.jpg"]
    body = server.client().thumbnail(image.id, 160)
    with Image.open(io.BytesIO(body)) as opened:
        assert opened.size == (100, 160)
        assert not opened.getexif()
    (kept,) = (home / "cache").rglob(f"{image.id}-160.jpg")
    assert kept.read_bytes() == body
    problem(server.ask("GET", f"/v1/images/{image.id}/thumbnail?size=161"), 422)


def test_what_a_client_has_is_not_sent_again(
    server: Server, by_name: dict[str, GalleryImage]
) -> None:
    for what in ("file", "thumbnail?size=160"):
        path = f"/v1/images/{by_name['0.jpg'].id}/{what}"
        _, headers, _ = server.ask("GET", path)
        assert "immutable" in headers["cache-control"]
        for said in (headers["etag"], f'"x", W/{headers["etag"]}', "*"):
            status, again, body = server.ask("GET", path, None, {"If-None-Match": said})
            assert (status, body, again["etag"]) == (304, b"", headers["etag"])
        assert server.ask("GET", path, None, {"If-None-Match": '"x"'})[0] == 200
    unknown = server.ask("GET", f"/v1/images/{'0' * 32}/file", None, {"If-None-Match": "*"})
    problem(unknown, 404)


def test_a_removed_image_is_gone(own_home: Path, start: Callable[..., Server]) -> None:
    server = start(own_home)
    client = server.client()
    copied = next(one for one in client.images() if len(one.paths) == 2)
    client.thumbnail(copied.id, 160)
    assert client.remove(copied.id) == 2
    with pytest.raises(ServerError, match="no image with the id"):
        client.image(copied.id)
    problem(server.ask("GET", f"/v1/images/{copied.id}/thumbnail?size=160"), 404)
    assert not list((own_home / "cache").rglob(f"{copied.id}*"))
    assert client.info().images == 10
    assert (own_home / "images" / "5.jpg").exists()


def test_a_changed_or_missing_file_is_not_served(
    own_home: Path, start: Callable[..., Server]
) -> None:
    client = start(own_home).client()
    ids = {one.path.name: one.id for one in client.images()}
    (own_home / "images" / "0.jpg").write_bytes(photo(99))
    (own_home / "images" / "1.jpg").unlink()
    for name in ("0.jpg", "1.jpg"):
        with pytest.raises(ServerError, match="missing, unreachable, or has changed") as caught:
            client.file(ids[name])
        assert caught.value.status == 410
    # Of two copies one is enough.
    (own_home / "images" / "5.jpg").unlink()
    assert client.file(ids["5.jpg"])


def test_images_that_clients_add_are_found(own_home: Path, start: Callable[..., Server]) -> None:
    kept = own_home / "kept"
    kept.mkdir()
    client: Client = start(own_home, "--upload-folder", kept).client()
    run = client.add(photo(50), photo(51, kind="PNG"))
    wait_until(lambda: client.index_run(run.id).state == "done")
    assert client.search(photo(50), limit=1).hits[0].evidence.verdict is Verdict.IDENTICAL_FILE
    assert sorted(path.suffix for path in kept.iterdir()) == [".jpg", ".png"]
    for wrong in (b"GIF89a", b"<svg/>", photo(1)[:200]):
        with pytest.raises(ServerError, match="file 1: "):
            client.add(wrong)
    assert len(list(kept.iterdir())) == 2
