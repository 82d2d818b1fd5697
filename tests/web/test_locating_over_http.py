"""Where a photo was taken, over HTTP: what the gallery itself says, if the owner lets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from running import TOKEN, Server, form, photo, problem

from glocal.client import Client, ServerError
from glocal.gallery import Gallery
from glocal.gallery.locating import Silence
from glocal.geography.world_model import WorldCard, WorldModel


def test_the_answer_is_what_the_gallery_says(guarded: Server, home: Path) -> None:
    owner = guarded.client(token=TOKEN)
    edited = photo(0, size=(150, 110))
    answer = owner.locate(edited, limit=2)
    with Gallery(home / "gallery", create=False) as gallery:
        expected = gallery.locate(edited)
    assert answer.silence == expected.silence
    assert [(p.latitude, p.confidence, p.matches) for p in answer.places] == [
        (p.latitude, p.confidence, p.matches) for p in expected.places[:2]
    ]
    assert [hit.path for p in answer.places for hit in p.hits] == [
        hit.path for p in expected.places[:2] for hit in p.hits
    ]
    assert answer.query.startswith("u-")
    assert owner.search(query=answer.query).hits


def test_the_gallerys_own_photo_says_its_position(guarded: Server, home: Path) -> None:
    owner = guarded.client(token=TOKEN)
    shown = owner.search(home / "images" / "0.jpg", limit=1).hits[0]
    for image in (shown, home / "images" / "0.jpg"):
        assert owner.locate(image).position == pytest.approx((48.5, 2.25))
    nowhere = owner.locate(shown, where="width > 9000")
    assert (nowhere.places, nowhere.silence) == ((), Silence.NO_POSITIONS)


def test_a_server_that_hides_positions_refuses(server: Server, home: Path) -> None:
    client: Client = server.client()
    with pytest.raises(ServerError, match="--show-positions") as caught:
        client.locate(home / "images" / "0.jpg")
    assert caught.value.status == 403


def test_what_makes_no_sense_is_a_problem(guarded: Server) -> None:
    token = {"Authorization": f"Bearer {TOKEN}"}
    for parts in ([], [("image", photo(0)), ("query", "0" * 32)]):
        body, headers = form(*parts)
        said = problem(guarded.ask("POST", "/v1/locate", body, headers | token), 422)
        assert "exactly one photo" in said["detail"]


def made_world(space: str, dim: int) -> WorldModel:
    """One that believes in one of two places by the first number of a vector."""
    weight = np.zeros((2, dim), np.float32)
    weight[0, 0], weight[1, 1] = 1, 1
    card = WorldCard("geoclip", "fourier", space, 2, 5.0, 300.0, "0")
    layer = (weight, np.zeros(2, np.float32))
    return WorldModel(card, [layer], [(48.0, 2.0), (-33.0, 151.0)], np.eye(2))


def test_a_world_model_is_asked_in_every_process(
    own_home: Path, start: Callable[..., Server]
) -> None:
    file = own_home / "w.npz"
    with Gallery(own_home / "gallery", create=False) as gallery:
        made_world(gallery.space, gallery.model.dim).save(file)
        expected = gallery.locate(photo(0, size=(150, 110)), world=file).world
        other = made_world("other", gallery.model.dim)
    running = start(own_home, "--show-positions", "--world", file)
    client = running.client()
    answer = client.locate(photo(0, size=(150, 110)))
    assert [(p.latitude, p.longitude) for p in answer.world] == [
        (p.latitude, p.longitude) for p in expected
    ]
    assert sum(place.share for place in answer.world) == pytest.approx(1, abs=0.01)
    assert len(client.locate(photo(1), limit=1).world) == 1
    other.save(file)
    with pytest.raises(ServerError, match="cannot be used with its gallery any more") as caught:
        client.locate(photo(2))
    assert caught.value.status == 503
