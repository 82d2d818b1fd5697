from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'glocal[learn]'")

from torch import nn  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn import local_rank  # noqa: E402
from glocal.learn.local_rank import study_local_rank  # noqa: E402


def of_rank(rank: int, out: int, into: int) -> nn.Linear:
    layer = nn.Linear(into, out)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(out, rank) @ torch.randn(rank, into))
    return layer


def slow_rank(function, image, tolerance):
    """By a Jacobian of one output at a time."""
    image = image.clone().requires_grad_()
    rows = [torch.autograd.grad(each, image, retain_graph=True)[0].flatten()
            for each in function(image[None])[0].flatten()]  # fmt: skip
    values = torch.linalg.svd(torch.stack(rows)).S
    return sum(value > tolerance * values[0] for value in values.tolist())


def test_planted_ranks_are_found():
    torch.manual_seed(0)
    network = nn.Sequential(of_rank(3, 8, 6), of_rank(2, 5, 8), nn.Linear(5, 4))
    found = study_local_rank(network, torch.randn(7, 6), tolerance=1e-4)
    assert found.ranks == {"0": 3, "1": 2, "2": 2}
    assert found.most == {"0": 6, "1": 5, "2": 4}
    assert [len(each) for each in found.per_image.values()] == [7, 7, 7]


@pytest.mark.parametrize("side", [3, 6])  # fewer and more numbers in than out
def test_it_equals_one_output_at_a_time(side):
    torch.manual_seed(side)
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(),
        nn.Linear(3 * side**2, 9), nn.Tanh(), nn.Linear(9, 4),
    )  # fmt: skip
    images = torch.randn(5, 1, side, side)
    found = study_local_rank(network, images, tolerance=0.05)
    network.eval()
    for name, depth in (("0", 1), ("4", 5), ("6", 7)):
        wanted = [slow_rank(network[:depth], image, 0.05) for image in images]
        assert found.per_image[name].tolist() == wanted
        assert found.ranks[name] == pytest.approx(sum(wanted) / 5)


def test_dead_units_have_no_directions_and_the_scale_does_not_count():
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    images = torch.randn(6, 4)
    found = study_local_rank(network, images)
    with torch.no_grad():
        network[0].weight *= 100
        network[0].bias *= 100
    assert study_local_rank(network, images).ranks == found.ranks
    with torch.no_grad():
        network[0].bias.fill_(-1e4)
    assert study_local_rank(network, images).ranks["2"] == 0


def test_the_network_is_left_as_it_was():
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    study_local_rank(network, torch.randn(3, 4), layers=["1"])
    assert network.training
    assert all((value == before[name]).all() for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_what_does_not_fit_is_refused(monkeypatch):
    network, images = nn.Sequential(nn.Linear(4, 5)), torch.randn(2, 4)
    for wrong in ({"tolerance": 0}, {"tolerance": 1}):
        with pytest.raises(LearnError, match="tolerance between 0 and 1"):
            study_local_rank(network, images, **wrong)
    with pytest.raises(LearnError, match="one image or more"):
        study_local_rank(network, images[:0])
    with pytest.raises(LearnError, match=r"no layers \['9'\]; it has 0"):
        study_local_rank(network, images, layers=["0", "9"])
    with pytest.raises(LearnError, match="linear or convolution"):
        study_local_rank(nn.Sequential(nn.ReLU()), images)
    monkeypatch.setattr(local_rank, "_MOST", 19)
    with pytest.raises(LearnError, match="5 outputs by 4 numbers of an image are too large"):
        study_local_rank(network, images)
    assert not network[0]._forward_hooks
