from __future__ import annotations

import numpy as np
import pytest

from glocal.analyse import boundary, boundary_points, direction_dispersion
from glocal.errors import AnalysisError


def slow_dispersion(rows, k, weight):
    found = []
    for number, row in enumerate(rows):
        apart = np.linalg.norm(rows - row, axis=1)
        apart[number] = np.inf
        near = np.argsort(apart)[:k]
        directions = (rows[near] - row) / apart[near, None]
        values = np.linalg.eigvalsh(np.cov(directions.T, bias=True))
        dim, whole = rows.shape[1], values.sum() ** 2
        spread = dim / (dim - 1) * (whole - (values**2).sum())
        found.append(weight * whole + (1 - weight) * spread)
    return found


@pytest.mark.parametrize(("dim", "k", "weight"), [(2, 5, 0.5), (3, 9, 0.2), (30, 6, 0.8)])
def test_it_equals_a_slow_loop_with_eigenvalues(monkeypatch, dim, k, weight):
    monkeypatch.setattr(boundary, "_BLOCK", 7 * k * dim)  # several blocks, the last one short
    rows = np.random.default_rng(dim).normal(3, 1, (40, dim))
    found = direction_dispersion(rows, neighbours=k, weight=weight)
    assert found == pytest.approx(slow_dispersion(rows, k, weight), abs=1e-5)


def test_even_directions_are_one_and_a_single_direction_is_none():
    star = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    assert direction_dispersion(star, neighbours=4)[0] == pytest.approx(1)
    line = np.array([[0, 0], [1, 1], [2, 2], [3, 3]])
    assert direction_dispersion(line, neighbours=2)[0] == pytest.approx(0, abs=1e-6)


def test_the_rim_of_a_grid_is_its_border():
    grid = np.stack(np.meshgrid(np.arange(9), np.arange(9)), axis=-1).reshape(-1, 2)
    rim = {n for n, point in enumerate(grid) if point.min() == 0 or point.max() == 8}
    found = boundary_points(grid, share=len(rim) / len(grid), neighbours=8)
    assert set(found.tolist()) == rim
    corners = {0, 8, 72, 80}
    assert set(found[:4].tolist()) == corners


def test_density_does_not_matter():
    rows = np.random.default_rng(1).normal(size=(60, 3))
    thin = direction_dispersion(100 * rows, neighbours=8)
    assert thin == pytest.approx(direction_dispersion(rows, neighbours=8), abs=1e-4)


def test_copies_have_no_direction():
    rows = np.random.default_rng(2).normal(size=(6, 3))
    assert direction_dispersion(np.repeat(rows, 5, axis=0), neighbours=4).max() < 1e-9


def test_what_does_not_fit_is_refused():
    rows = np.ones((5, 3))
    for wrong in (rows[:, :1], rows * np.nan, rows[:3]):
        with pytest.raises(AnalysisError, match="fewer than n"):
            direction_dispersion(wrong, neighbours=3)
    with pytest.raises(AnalysisError, match="weight from 0 to 1"):
        direction_dispersion(rows, neighbours=3, weight=2)
    with pytest.raises(AnalysisError, match=r"a share of 1\.5"):
        boundary_points(rows, share=1.5, neighbours=3)
