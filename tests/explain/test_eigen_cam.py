"""Eigen-CAM against the eigenvector of the obvious matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.explain.eigen_cam import eigen_cam


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 6))
def test_it_is_the_projection_on_the_main_direction(seed: int, rows: int, columns: int) -> None:
    grid = np.random.default_rng(seed).normal(0.5, 1, (rows, columns, 7)).astype(np.float32)
    cells = grid.reshape(-1, 7).astype(np.float64)
    values, vectors = np.linalg.eigh(cells.T @ cells)
    wanted = cells @ vectors[:, -1]
    got = eigen_cam(grid)
    assert got.shape == (rows, columns)
    assert got.dtype == np.float32
    if values[-1] - values[-2] < 1e-3 * values[-1] or abs(wanted.sum()) < 1e-6:
        return  # two main directions, or no side to turn to
    wanted = np.maximum(wanted * np.sign(wanted.sum()), 0)
    np.testing.assert_allclose(got.ravel(), wanted / wanted.max(), atol=1e-4)


def test_the_sign_of_the_whole_does_not_matter() -> None:
    grid = np.random.default_rng(0).normal(0.3, 1, (4, 5, 6)).astype(np.float32)
    np.testing.assert_allclose(eigen_cam(grid), eigen_cam(-grid), atol=1e-6)
    assert eigen_cam(grid).max() == pytest.approx(1)


def test_nothing_is_nothing() -> None:
    assert not eigen_cam(np.zeros((2, 3, 4), np.float32)).any()
