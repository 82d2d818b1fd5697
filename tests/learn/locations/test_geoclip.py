"""GeoCLIP: its loss is its formula, its queue is bounded, and it learns a tiny world."""

from __future__ import annotations

import math

import pytest
import torch

from glocal.errors import LearnError
from glocal.learn.locations.geoclip import GeoClip, train_geoclip
from glocal.learn.locations.harmonics import HarmonicEncoder


@torch.no_grad()
def test_the_loss_is_that_of_a_slow_loop_with_the_queue_as_negatives() -> None:
    torch.manual_seed(0)
    model = GeoClip(6, width=4, hidden=8, queue=5, noise_km=0.0).eval()
    vectors, places = torch.randn(3, 6), torch.tensor([[10.0, 20], [-30, 100], [60, -150]])
    model.queue = torch.tensor([[0.0, 0], [45, 45]])
    images, own = model.encode_images(vectors), model.encode_locations(places)
    others = model.encode_locations(model.queue)
    total = 0.0
    for i in range(3):
        scores = [float(images[i] @ each) / 0.07 for each in (*own, *others)]
        total -= scores[i] - math.log(sum(map(math.exp, scores)))
    assert float(model(vectors, places)) == pytest.approx(total / 3, rel=1e-4)


def test_the_queue_holds_the_latest_positions_and_no_more_than_it_may() -> None:
    model = GeoClip(2, queue=5)
    for number in range(4):
        model(torch.randn(2, 2), torch.full((2, 2), float(number)))
    assert model.queue[:, 0].tolist() == [3, 3, 2, 2, 1]
    moved = model._from_queue()
    assert moved[:, 0].abs().max() <= 90
    assert 0 < (moved - model.queue).abs().max() < 15


def test_it_learns_where_colours_are() -> None:
    torch.manual_seed(0)
    places = torch.rand(300, 2) * torch.tensor([120.0, 300.0]) - torch.tensor([60.0, 150.0])
    vectors = torch.cat([places / 60, (places / 60).square()], 1)
    model = GeoClip(4, width=16, hidden=32, queue=32, locations=HarmonicEncoder(16, degrees=4))
    train_geoclip(model, vectors, places, steps=80, batch=32, rate=5e-3)
    with torch.no_grad():
        best = (model.encode_images(vectors) @ model.encode_locations(places).T).argmax(1)
    assert (places[best] - places).abs().sum(1).median() < 30  # by chance about 130


def test_data_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(LearnError, match=r"\[2, 3\] rows"):
        train_geoclip(GeoClip(2), torch.zeros(2, 2), torch.zeros(3, 2), steps=1)
