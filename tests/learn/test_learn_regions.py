"""Region vectors in torch are those of an index, and carry gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glocal.encoders.regions import COARSE, FINE, RegionSettings, every_region
from glocal.learn.regions import region_vectors


@pytest.mark.parametrize("settings", [COARSE, FINE])
def test_they_are_those_of_the_index(settings: RegionSettings) -> None:
    grids = np.random.default_rng(0).normal(size=(2, 8, 13, 5)).astype(np.float32)
    found = region_vectors(torch.from_numpy(grids), settings).numpy()
    for grid, vectors in zip(grids, found, strict=True):
        assert vectors == pytest.approx(every_region(grid, settings).vectors, abs=1e-5)


def test_gradients_reach_the_cells_of_a_window_alone() -> None:
    grid = torch.randn(1, 6, 6, 4, requires_grad=True)
    region_vectors(grid, COARSE)[0, 0].sum().backward()
    assert grid.grad is not None
    touched = grid.grad[0].abs().sum(-1) > 1e-6
    assert touched[:2, :2].all()
    assert not touched[2:].any()
    assert not touched[:, 2:].any()
