from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'glocal[learn]'")

from torch import nn  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.mixers import UnifiedNetwork, moved, receptive_field, study_mixers  # noqa: E402


def three(width: int) -> nn.Module:
    return nn.Conv2d(width, width, 3, padding=1, groups=width)


def none(width: int) -> nn.Module:
    return nn.Identity()


class Mean(nn.Module):
    """Gives each cell the mean of all."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, x):
        return x.mean(dim=(2, 3), keepdim=True).expand_as(x) * 5


IMAGES = torch.rand(12, 3, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(12) % 3


def study(mixers, train=lambda network: None):
    return study_mixers(mixers, train, IMAGES, LABELS, classes=3, widths=(8,))


def test_receptive_fields_are_those_that_were_planted():
    found = study({"none": none, "three": three, "mean": Mean})
    # A cell of the stem sees 3 pixels of 16, two 3x3 mixers 2 cells or 4 pixels more on each side.
    assert found["none"].field <= 4 / 16
    assert found["none"].field < found["three"].field <= 12 / 16
    assert found["mean"].field > 0.8
    assert [each.parameters for each in found.values()] == [0, 2 * 8 * 10, 0]


def test_all_but_the_mixer_begins_alike_and_is_trained_in_training_mode():
    seen = {}

    def train(network):
        assert network.training
        inside = {id(each) for each in network.mixers.parameters()}
        rest = {n: p.detach().clone() for n, p in network.named_parameters() if id(p) not in inside}
        seen[len(seen)] = rest

    state = torch.get_rng_state()
    study({"none": none, "three": three}, train)
    study({"three": three}, train)
    assert torch.equal(torch.get_rng_state(), state)
    assert seen[0].keys() == seen[1].keys() == seen[2].keys()
    assert all(torch.equal(seen[0][n], seen[1][n]) for n in seen[0])
    assert all(torch.equal(seen[1][n], seen[2][n]) for n in seen[0])


def test_accuracy_is_that_of_what_was_trained():
    def always_one(network):
        with torch.no_grad():
            network.linear.weight.zero_()
            network.linear.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))

    found = study({"none": none}, always_one)["none"]
    assert found.accuracy == pytest.approx(1 / 3)
    assert found.kept == {"shift": 1, "turn": 1, "scale": 1}


def test_moves_are_what_they_say():
    inner = torch.zeros(1, 1, 16, 16)
    inner[..., 5:11, 5:11] = torch.rand(6, 6, generator=torch.Generator().manual_seed(1))
    right = moved(inner, 0, 1, 2 / 16, 0)
    assert torch.allclose(right, inner.roll(2, 3), atol=1e-5)
    assert torch.allclose(moved(inner, 0, 1, 0, -3 / 16), inner.roll(-3, 2), atol=1e-5)
    assert torch.allclose(moved(inner, 0, 1, 0, 0), inner, atol=1e-5)
    turned = moved(inner, 90, 1, 0, 0)
    ways = [torch.rot90(inner, k, (2, 3)) for k in (1, 3)]
    assert sum(torch.allclose(turned, way, atol=1e-4) for way in ways) == 1
    # First turned, then shifted to the right of the picture.
    both = moved(inner, 90, 1, 2 / 16, 0)
    assert torch.allclose(both, turned.roll(2, 3), atol=1e-4)
    assert moved(inner, 0, 0.5, 0, 0).sum() == pytest.approx(float(inner.sum()) / 4, rel=0.05)


def test_several_stages_halve_the_map_each():
    network = UnifiedNetwork(three, 4, widths=(8, 12), depth=1)
    assert network.maps(IMAGES[:2]).shape == (2, 12, 4, 4)
    assert network(IMAGES[:2]).shape == (2, 4)
    assert 0 < receptive_field(network, IMAGES[:2]) <= 1


def test_what_does_not_fit_is_refused():
    with pytest.raises(LearnError, match="0 mixers cannot be compared"):
        study({})
    with pytest.raises(LearnError, match="'wide' does not fit maps of widths"):
        study({"wide": lambda width: nn.Conv2d(width + 1, width, 1)})
    with pytest.raises(LearnError, match="keeps their shape"):
        study({"pool": lambda width: nn.AdaptiveAvgPool2d(1)})
    with pytest.raises(LearnError, match=r"give one mixer or more, \(n, 3, h, w\)"):
        study_mixers({"a": none}, print, IMAGES[:0], LABELS[:0], classes=3)
