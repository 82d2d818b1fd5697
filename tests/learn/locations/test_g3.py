"""G3: its loss aligns three kinds of vectors, candidates are made and verified as it says."""

from __future__ import annotations

import pytest
import torch

from glocal.geography.sphere import middle
from glocal.learn.locations.g3 import G3, consensus
from glocal.learn.locations.geoclip import train_geoclip
from glocal.learn.locations.harmonics import HarmonicEncoder

torch.manual_seed(0)
PLACES = torch.rand(120, 2) * torch.tensor([120.0, 300.0]) - torch.tensor([60.0, 150.0])
IMAGES = torch.cat([PLACES / 60, (PLACES / 60).square()], 1)
TEXTS = torch.nn.functional.one_hot((PLACES[:, 0] > 0).long(), 2).float()


def test_supplied_candidates_are_middles_on_the_sphere() -> None:
    retrieved = torch.tensor([[[0.0, 179], [0, -177], [60, 0]], [[10, 10], [20, 10], [80, 0]]])
    found = consensus(retrieved, (1, 2, 3))
    assert found.shape == (2, 3, 2)
    for row in range(2):
        for at, count in enumerate((1, 2, 3)):
            slow = middle(retrieved[row, :count].numpy(), [1.0] * count)
            assert tuple(found[row, at].tolist()) == pytest.approx(slow, abs=1e-3)


@torch.no_grad()
def test_the_candidate_is_taken_whose_encoded_position_is_nearest() -> None:
    model = G3(4, 2, width=8, hidden=16).eval()
    candidates = PLACES[:60].reshape(12, 5, 2)
    chosen = model.verify(IMAGES[:12], candidates)
    for row in range(12):
        wanted = model.image_for_positions(IMAGES[row : row + 1])[0]
        scores = [float(model.encode_positions(each[None])[0] @ wanted) for each in candidates[row]]
        assert int(chosen[row]) == max(range(5), key=scores.__getitem__)
    lengths = model.retrieval_vectors(IMAGES).reshape(120, -1).square().sum(1)
    assert lengths.numpy() == pytest.approx(3.0, abs=1e-4)


def test_training_lets_it_verify_the_right_of_several_positions() -> None:
    torch.manual_seed(0)
    model = G3(4, 2, width=16, hidden=32, locations=HarmonicEncoder(16, degrees=4))
    before = float(model(IMAGES, PLACES, TEXTS).detach())
    train_geoclip(model, IMAGES, PLACES, TEXTS, steps=80, batch=32, rate=5e-3)
    assert float(model(IMAGES, PLACES, TEXTS).detach()) < before - 1
    wrong = PLACES[torch.randperm(120, generator=torch.Generator().manual_seed(1))]
    with torch.no_grad():
        chosen = model.verify(IMAGES, torch.stack([wrong, PLACES], 1))
    assert float((chosen == 1).float().mean()) > 0.8
