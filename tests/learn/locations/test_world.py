"""Training a world model: it knows places that were kept aside, and says how well."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glocal.errors import LearnError
from glocal.geography.sphere import distances_km, unit_vectors
from glocal.geography.world_model import WorldCard
from glocal.learn.locations.g3 import G3
from glocal.learn.locations.geoclip import GeoClip
from glocal.learn.locations.world import train_world_model, world_model_of

RANDOM = np.random.default_rng(0)


def photos(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Vectors that tell where they are, with noise, and positions."""
    places = np.stack([random.uniform(-60, 60, count), random.uniform(-180, 180, count)], 1)
    mixed = np.random.default_rng(9).normal(size=(3, 24))
    rows = unit_vectors(places) @ mixed + 0.1 * random.normal(size=(count, 24))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), places


def test_new_places_are_found_and_what_is_measured_holds_for_others() -> None:
    vectors, places = photos(300, RANDOM)
    said: list[str] = []
    world = train_world_model(
        vectors,
        places,
        space="toy",
        locations="harmonics",
        towns=[(0.0, 0.0)],
        steps=100,
        listen=said.append,
    )
    figures, card = world.card.measured, world.card
    assert (card.photos, card.space, card.locations) == (300, "toy", "harmonics")
    assert figures["median_km"] < 1_500
    assert figures["median_km_by_chance"] > 5_000
    assert figures["within_2500_km"] > figures["within_2500_km_by_chance"] + 0.3
    assert (0.0, 0.0) in map(tuple, world.positions.tolist())
    others, where = photos(100, np.random.default_rng(5))
    first = [world.places(vector, 1)[0] for vector in others]
    away = distances_km(where, [(place.latitude, place.longitude) for place in first])
    assert np.median(away) < 1_500
    assert np.mean(away <= [place.radius_km for place in first]) == pytest.approx(
        figures["right_within_radius"], abs=0.25
    )
    assert len(said) == 3


def test_what_was_drawn_by_chance_is_measured_as_chance() -> None:
    """Vectors that tell nothing of places: the figures have to say so."""
    _, places = photos(300, np.random.default_rng(2))
    vectors = np.random.default_rng(3).normal(size=(300, 24))
    figures = train_world_model(vectors, places, space="toy", steps=40).card.measured
    assert figures["within_2500_km"] < figures["within_2500_km_by_chance"] + 0.15
    assert figures["median_km"] > 4_000


@torch.no_grad()
def test_it_says_what_the_module_says() -> None:
    vectors, places = photos(40, np.random.default_rng(4))
    card = WorldCard("geoclip", "fourier", "toy", 0, 10.0, 500.0, "0")
    rows, degrees = torch.tensor(vectors).float(), torch.tensor(places).float()
    clip, g3 = GeoClip(24, width=16).eval(), G3(24, 3, width=16).eval()
    for model, images, located in (
        (clip, clip.encode_images, clip.encode_locations),
        (g3, g3.image_for_positions, g3.encode_positions),
    ):
        world = world_model_of(model, places, card)
        slow = torch.softmax(10 * images(rows) @ located(degrees).T, 1).numpy()
        for row in range(5):
            assert world.belief(vectors[row]) == pytest.approx(slow[row], abs=1e-4)


def test_too_little_is_refused() -> None:
    vectors, places = photos(200, RANDOM)
    for own, where, said in (
        (vectors[:50], places[:50], "50 photos with a position"),
        (vectors, np.full_like(places, 10.0), "from 1 places 50 km apart"),
        (vectors[:0], places[:0], "0 photos"),
        (vectors, places[:9], r"positions \(9, 2\)"),
        (vectors, places + 200, "not on Earth"),
        (vectors * np.nan, places, "not finite"),
    ):
        with pytest.raises(LearnError, match=said):
            train_world_model(own, where, space="toy", steps=1)
    with pytest.raises(LearnError, match="choose from: harmonics"):
        train_world_model(vectors, places, space="toy", locations="geoclip", steps=1)
