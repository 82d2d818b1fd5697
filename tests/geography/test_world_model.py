"""World models: belief and places as a slow loop has them, and files that are not what they say."""

from __future__ import annotations

import io
import json
import math
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glocal.errors import WorldModelError
from glocal.geography.sphere import distances_km
from glocal.geography.world_model import WorldCard, WorldModel, read_world_model

CARD = WorldCard(
    part="geoclip",
    locations="fourier",
    space="toy",
    photos=7,
    scale=20.0,
    reach_km=500.0,
    glocal_version="0",
    measured={"median_km": 400.0},
)


def made(positions: int = 30, **changes: object) -> WorldModel:
    random = np.random.default_rng(0)
    locations = random.normal(size=(positions, 6))
    return WorldModel(
        replace(CARD, **changes),  # type: ignore[arg-type]
        [
            (random.normal(size=(8, 4)).astype(np.float32), np.ones(8, np.float32)),
            (random.normal(size=(6, 8)).astype(np.float32), np.zeros(6, np.float32)),
        ],
        np.stack([random.uniform(-60, 60, positions), random.uniform(-180, 180, positions)], 1),
        locations / np.linalg.norm(locations, axis=1, keepdims=True),
    )


def test_the_belief_is_that_of_a_slow_loop() -> None:
    model, vector = made(), np.array([0.5, -0.5, 0.1, 0.7])
    (w0, b0), (w1, b1) = model.layers
    hidden = [max(sum(w * v for w, v in zip(row, vector, strict=True)) + b, 0)
              for row, b in zip(w0, b0, strict=True)]  # fmt: skip
    out = [sum(w * v for w, v in zip(row, hidden, strict=True)) + b
           for row, b in zip(w1, b1, strict=True)]  # fmt: skip
    length = math.sqrt(sum(each * each for each in out))
    weights = [
        math.exp(20 * sum(a * b for a, b in zip(row, out, strict=True)) / length)
        for row in model.locations
    ]
    assert model.belief(vector) == pytest.approx([w / sum(weights) for w in weights], rel=1e-3)


def test_places_gather_the_belief_and_say_how_far_it_is_spread() -> None:
    model = made(reach_km=3_000.0)
    vector = np.array([1.0, 0, 0, 0])
    belief = model.belief(vector)
    places = model.places(vector, 30)
    assert [place.share for place in places] == sorted((p.share for p in places), reverse=True)
    assert sum(place.share for place in places) <= 1 + 1e-6
    first = places[0]
    away = distances_km((first.latitude, first.longitude), model.positions)
    assert belief[away <= first.radius_km + 1].sum() >= 0.9 * first.share - 1e-6
    assert first.radius_km >= 25
    assert len(model.places(vector, 2)) == 2


def test_a_file_comes_back_and_a_replaced_one_is_read_again(tmp_path: Path) -> None:
    model, file = made(), tmp_path / "w.npz"
    model.save(file)
    again = read_world_model(file)
    assert again.card == CARD
    assert read_world_model(file) is again
    vector = np.array([0.5, -0.5, 0.1, 0.7])
    assert again.belief(vector) == pytest.approx(model.belief(vector), abs=1e-3)
    made(positions=12).save(file)
    assert len(read_world_model(file).positions) == 12
    assert [path.name for path in tmp_path.iterdir()] == ["w.npz"]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    model = made()
    with pytest.raises(WorldModelError, match="vectors of 4 finite numbers, and this one has 5"):
        model.belief(np.zeros(5))
    with pytest.raises(WorldModelError, match="4 finite"):
        model.belief([0, 0, 0, math.nan])
    layers, places, locations = model.layers, model.positions, model.locations
    for card, own, where, encoded, said in (
        (CARD, [], places, locations, "no layer"),
        (CARD, layers[:1], places, locations, "locations have shape"),
        (CARD, [layers[1], layers[0]], places, locations, "layer 1 takes 4 numbers of 6"),
        (CARD, layers, places[:0], locations[:0], "positions have shape"),
        (CARD, layers, places + 200, locations, "not on Earth"),
        (CARD, layers, places, 2 * locations, "unit length"),
        (CARD, layers, places, locations * math.nan, "nan or infinite|unit length"),
        (replace(CARD, scale=0.0), layers, places, locations, "scale is 0.0"),
        (replace(CARD, space=""), layers, places, locations, "space is ''"),
        (replace(CARD, measured={"a": math.inf}), layers, places, locations, "measured"),
    ):
        with pytest.raises(WorldModelError, match=said):
            WorldModel(card, own, where, encoded)
    with pytest.raises(WorldModelError, match="none comes with glocal"):
        read_world_model(tmp_path / "no.npz")
    with pytest.raises(WorldModelError, match="cannot be written"):
        model.save(tmp_path / "no" / "w.npz")


def archive(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as opened:
        for name, data in members.items():
            opened.writestr(name, data)
    return file.getvalue()


def test_damaged_and_hostile_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "w.npz"
    made().save(file)
    good = file.read_bytes()
    with zipfile.ZipFile(file) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    array = io.BytesIO()
    np.save(array, np.array([None], object), allow_pickle=True)
    huge = members["positions.npy"].replace(b"(30, 2), ", b"(9999999999, 2), ")[:-9]
    card = json.loads(np.load(io.BytesIO(members["card.npy"])).tobytes())

    def with_card(**changes: object) -> bytes:
        said = io.BytesIO()
        np.save(said, np.frombuffer(json.dumps(card | changes).encode(), np.uint8))
        return archive(members | {"card.npy": said.getvalue()})

    cases = {
        "empty": b"",
        "text": b"no archive at all",
        "compressed": archive(members, zipfile.ZIP_DEFLATED),
        "pickle": archive(members | {"positions.npy": array.getvalue()}),
        "huge": archive(members | {"positions.npy": huge}),
        "missing": archive({k: v for k, v in members.items() if k != "locations.npy"}),
        "bias": archive({k: v for k, v in members.items() if k != "bias1.npy"}),
        "many": archive({f"a{at}.npy": b"" for at in range(100)}),
        "format": with_card(format=2),
        "card": with_card(scale="a"),
        "nested": with_card(measured={"a": []}),
    }
    for name, data in cases.items():
        file.write_bytes(data)
        with pytest.raises(WorldModelError) as caught:
            WorldModel.load(file)
        assert str(file) in str(caught.value), name
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(good)
        for at in random.integers(len(good), size=3):
            damaged[at] ^= int(random.integers(1, 256))
        file.write_bytes(bytes(damaged[: int(random.integers(len(good)))])
                         if random.random() < 0.3 else bytes(damaged))  # fmt: skip
        with suppress(WorldModelError):
            WorldModel.load(file)
