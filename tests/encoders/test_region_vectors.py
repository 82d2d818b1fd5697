"""Region vectors, compared with slow and obvious sums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_model import FIVE, card, write_model

from glocal.encoders import COARSE, FINE, OnnxEncoder, RegionSettings, region_settings
from glocal.encoders.regions import every_region, region_vectors, representative, windows
from glocal.errors import ModelError, PartError


def contributions(rows: int, columns: int, dim: int = 6) -> np.ndarray:
    grid = np.random.default_rng(rows * columns).normal(size=(rows, columns, dim))
    grid /= np.linalg.norm(grid.sum((0, 1)))
    return grid.astype(np.float32)


@pytest.mark.parametrize(("rows", "columns"), [(10, 10), (8, 13), (5, 21), (2, 3), (1, 1)])
@pytest.mark.parametrize("settings", [COARSE, FINE])
def test_each_region_is_the_sum_over_its_box_at_unit_length(
    rows: int, columns: int, settings: RegionSettings
) -> None:
    grid = contributions(rows, columns)
    found = region_vectors(grid, settings)
    assert found.vectors.shape == (settings.count, 6)
    assert found.boxes.shape == (settings.count, 4)
    for vector, (x, y, width, height) in zip(found.vectors, found.boxes, strict=True):
        left, right = round(x * columns), round((x + width) * columns)
        top, bottom = round(y * rows), round((y + height) * rows)
        assert right > left
        assert bottom > top
        summed = grid[top:bottom, left:right].sum((0, 1))
        assert vector == pytest.approx(summed / np.linalg.norm(summed), abs=1e-5)


def test_windows_reach_from_edge_to_edge() -> None:
    spans = windows(10, 6, 1 / 3, 0.5)
    assert spans[0].tolist() == [0, 0, 3, 3]
    assert spans[-1].tolist() == [7, 3, 10, 6]
    assert len(np.unique(spans, axis=0)) == len(spans) == 7 * 4
    covered = np.zeros((10, 6), int)
    for top, left, bottom, right in spans.tolist():
        covered[top:bottom, left:right] += 1
    assert covered.min() >= 1
    assert np.median(covered) >= 3


def test_every_region_is_there_once() -> None:
    found = every_region(contributions(3, 3), COARSE)
    assert len(np.unique(found.boxes, axis=0)) == len(found) == 9  # windows of one cell


def test_those_are_kept_that_represent_all() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    similar = np.maximum(vectors @ vectors.T, 0)
    chosen: list[int] = []
    for _ in range(8):
        rest = [n for n in range(30) if n not in chosen]
        chosen.append(max(rest, key=lambda n: similar[[*chosen, n]].max(axis=0).sum()))
    assert representative(vectors, 8).tolist() == chosen


def test_with_fewer_windows_some_come_again() -> None:
    chosen = representative(np.eye(3, dtype=np.float32), 7)
    assert sorted(chosen[:3].tolist()) == [0, 1, 2]
    assert chosen[3:].tolist() == [*chosen[:3], chosen[0]]


def test_an_encoder_gives_them_with_the_same_vector(tmp_path: Path) -> None:
    encoder = OnnxEncoder(write_model(tmp_path / "m.onnx", outputs=FIVE))
    image = np.random.default_rng(1).integers(0, 256, (80, 60, 3), dtype=np.uint8)
    (plain,) = encoder.encode([image])
    assert encoder.gives_regions
    assert len(plain.regions) == len(plain.boxes) == 0
    for settings in (COARSE, FINE):
        (features,) = encoder.encode([image], regions=settings)
        assert features.vector == pytest.approx(plain.vector, abs=1e-6)
        assert features.regions.shape == (settings.count, encoder.dim)
        assert np.linalg.norm(features.regions, axis=1) == pytest.approx(1, abs=1e-5)
    expected = region_vectors(encoder.contributions(image), COARSE)
    (features,) = encoder.encode([image], regions=COARSE)
    assert features.regions == pytest.approx(expected.vectors, abs=1e-5)
    assert features.boxes.tolist() == expected.boxes.tolist()


def test_a_model_without_contributions_says_so(tmp_path: Path) -> None:
    encoder = OnnxEncoder(write_model(tmp_path / "m.onnx"))
    assert not encoder.gives_regions
    assert encoder.card.name == card()["name"]
    with pytest.raises(ModelError, match="no output 'contributions'"):
        encoder.encode([np.zeros((40, 40, 3), np.uint8)], regions=COARSE)


def test_names_of_settings() -> None:
    assert region_settings("none") is None
    assert region_settings("fine") is FINE
    with pytest.raises(PartError, match="none, coarse, fine"):
        region_settings("middling")
