from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'glocal[learn]'")
from torch import nn  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.connectivity import study_line  # noqa: E402


def network(values: list[float]) -> nn.Sequential:
    made = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1))
    with torch.no_grad():
        for parameter, value in zip(made.parameters(), values, strict=True):
            parameter.fill_(value)
    return made


def well(model: nn.Module) -> float:
    """Two minima, at 1 and -1 of the first weight, with a hill of 1 between; the rest is linear."""
    first = float(next(model.parameters()).detach())
    return (first**2 - 1) ** 2 + float(list(model.parameters())[2].detach())


def test_the_barrier_is_the_height_above_the_straight_line():
    one, other = network([-1, 0, 0, 0]), network([1, 0, 4, 0])
    found = study_line(one, other, well, points=5)
    assert found.points.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert found.losses.tolist() == pytest.approx([0, 0.5625 + 1, 1 + 2, 0.5625 + 3, 4])
    assert found.barrier == pytest.approx(1)


def test_a_layer_goes_alone():
    one, other = network([-1, 0, 0, 0]), network([1, 0, 4, 0])
    assert study_line(one, other, well, points=5).layers == pytest.approx({"0": 1, "2": 0})
    assert study_line(one, other, well, layers=False).layers == {}


def test_a_network_and_itself_have_no_barrier_and_nothing_is_changed():
    one = network([0.5, 0.1, 0.2, 0.3])
    before = copy.deepcopy(one.state_dict())
    assert study_line(one, one, well).barrier == pytest.approx(0, abs=1e-6)
    assert all(torch.equal(value, before[key]) for key, value in one.state_dict().items())


def test_statistics_go_along_and_counts_do_not():
    one, other = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    other.running_mean.fill_(4.0)
    other.num_batches_tracked.fill_(9)
    seen = []

    def loss(model):
        seen.append((float(model.running_mean[0]), int(model.num_batches_tracked)))
        return 0.0

    study_line(one, other, loss, points=3, layers=False)
    assert seen == [(0, 0), (2, 0), (4, 0)]


def test_what_does_not_fit_is_named():
    with pytest.raises(LearnError, match="different weights"):
        study_line(nn.Linear(1, 2), nn.Linear(1, 3), well)
    with pytest.raises(LearnError, match="at least 3 points, not 2"):
        study_line(network([1, 1, 1, 1]), network([1, 1, 1, 1]), well, points=2)
