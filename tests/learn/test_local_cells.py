from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from tiny_backbone import Tiny, random_maps  # noqa: E402

from glocal.learn.cells import Cells  # noqa: E402

LEVELS = Tiny().levels


@torch.no_grad()
def test_cells_that_differ_from_their_neighbours_score_high():
    cells = Cells(LEVELS, dim=5, count=6)
    maps = random_maps(LEVELS, 1, 64, 80)
    x = maps[1][0]
    found = []
    for row in range(4):
        for column in range(5):
            around = [
                x[:, r, c]
                for r in range(max(row - 1, 0), min(row + 2, 4))
                for c in range(max(column - 1, 0), min(column + 2, 5))
            ]
            strength = (x[:, row, column] - sum(around) / len(around)).norm()
            place = [(column * 16 + 15.5) / 80, (row * 16 + 15.5) / 64]
            found.append((float(strength), place, x[:, row, column]))
    found.sort(key=lambda cell: -cell[0])
    local = cells(maps)
    assert local.scores[0].tolist() == pytest.approx([f[0] for f in found[:6]], rel=1e-4)
    for i, (_, place, feature) in enumerate(found[:6]):
        assert local.keypoints[0, i].tolist() == pytest.approx(place)
        expected = cells.whitening(feature / feature.norm())
        assert torch.allclose(local.descriptors[0, i], expected, atol=1e-5)


def test_descriptors_are_unit_rows_of_at_most_the_feature_width():
    cells = Cells(LEVELS, dim=100)
    local = cells(random_maps(LEVELS, 3))
    assert local.descriptors.shape == (3, 48, LEVELS[1].width)
    assert torch.allclose(local.descriptors.norm(dim=2), torch.ones(3, 48), atol=1e-5)


def test_local_cells_send_no_gradient_into_the_backbone():
    maps = [m.requires_grad_() for m in random_maps(LEVELS)]
    local = Cells(LEVELS)(maps)
    local.descriptors.sum().backward()
    assert all(m.grad is None for m in maps)
