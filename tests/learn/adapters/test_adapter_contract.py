"""What every adapter promises, and what LoRA, PiSSA and SVFit compute."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="adapters need torch: pip install 'glocal[learn]'")
from torch import nn  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.adapters.adapter import Adapter, merged  # noqa: E402
from glocal.learn.adapters.low_rank import Lora, Pissa  # noqa: E402
from glocal.learn.adapters.svfit import SvFit  # noqa: E402
from glocal.registry import load, names  # noqa: E402

each_adapter = pytest.mark.parametrize("name", names("adapter"))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, groups=6), nn.Flatten(), nn.Linear(54, 5)
    ).eval()


def images(seed: int = 1) -> torch.Tensor:
    return torch.rand(4, 3, 7, 7, generator=torch.Generator().manual_seed(seed))


def trained(adapted: nn.Module) -> nn.Module:
    optimizer = torch.optim.Adam([p for p in adapted.parameters() if p.requires_grad], 0.1)
    for _ in range(5):
        optimizer.zero_grad()
        (adapted(images()) - 1).square().mean().backward()
        optimizer.step()
    return adapted


@each_adapter
def test_nothing_changes_before_training(name):
    base = network()
    adapter = load("adapter", name)()
    assert isinstance(adapter, Adapter)
    assert adapter.name == name
    with torch.no_grad():
        assert torch.allclose(adapter.attach(base)(images()), base(images()), atol=1e-6)


@each_adapter
def test_it_learns_and_merges_into_plain_layers(name):
    base = network()
    adapted = trained(load("adapter", name)().attach(base))
    plain = merged(adapted)
    with torch.no_grad():
        found, wanted = plain(images(2)), adapted(images(2))
        assert not torch.allclose(wanted, base(images(2)), atol=1e-3)
        assert torch.allclose(found, wanted, atol=1e-5)
    assert list(plain.state_dict()) == list(base.state_dict())
    base.load_state_dict(plain.state_dict())


@each_adapter
def test_frozen_weights_and_what_was_given_stay(name):
    base = network()
    before = copy.deepcopy(base.state_dict())
    adapted = trained(load("adapter", name)().attach(base))
    assert all(torch.equal(value, before[key]) for key, value in base.state_dict().items())
    assert all(each.requires_grad for each in base.parameters())
    assert torch.equal(adapted[0].layer.weight, before["0.weight"])
    assert torch.equal(adapted[1].weight, before["1.weight"])
    assert torch.equal(adapted[3].layer.bias, before["3.bias"])


@each_adapter
def test_a_network_without_such_layers_is_refused(name):
    with pytest.raises(LearnError, match="ReLU has no linear layer"):
        load("adapter", name)().attach(nn.ReLU())


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("kind", [Lora, Pissa])
def test_a_change_has_the_rank(kind, rank):
    base = nn.Linear(8, 6)
    adapted = trained_on_noise(kind(rank=rank).attach(base))
    changed = (merged(adapted).weight - base.weight).detach()
    most = rank if kind is Lora else 2 * rank  # PiSSA's principal part is exchanged for another
    assert int(torch.linalg.matrix_rank(changed, atol=1e-5)) <= most
    assert sum(p.numel() for p in adapted.parameters() if p.requires_grad) == rank * (8 + 6)


def test_pissa_starts_with_the_principal_part():
    base = nn.Linear(8, 6)
    change = Pissa(rank=2).change(base.weight.detach())
    left, values, right = torch.linalg.svd(base.weight.detach(), full_matrices=False)
    wanted = sum(values[i] * torch.outer(left[:, i], right[i]) for i in range(2))
    assert torch.allclose(change.left @ change.right, wanted, atol=1e-6)


def test_svfit_changes_singular_values_only():
    base = nn.Linear(8, 6)
    adapted = trained_on_noise(SvFit(share=1.0).attach(base))
    left, values, right = torch.linalg.svd(base.weight.detach(), full_matrices=False)
    within = left.T @ merged(adapted).weight.detach() @ right.T
    assert torch.allclose(within, torch.diag(within.diagonal()), atol=1e-5)
    assert not torch.allclose(within.diagonal(), values, atol=1e-3)


def test_svfit_takes_as_many_singular_values_as_make_up_the_share():
    weight = torch.diag(torch.tensor([3.0, 2.0, 1.0]))  # squares 9, 4 and 1 of 14
    counts = [len(SvFit(share=share).change(weight).values) for share in (0.6, 0.9, 0.95, 1.0)]
    assert counts == [1, 2, 3, 3]


@pytest.mark.parametrize("make", [lambda: Lora(rank=0), lambda: SvFit(share=0.0)])
def test_impossible_settings_are_refused(make):
    with pytest.raises(LearnError, match="has to be"):
        make()


def trained_on_noise(adapted: nn.Module) -> nn.Module:
    optimizer = torch.optim.Adam([p for p in adapted.parameters() if p.requires_grad], 0.1)
    rows = torch.rand(5, 8, generator=torch.Generator().manual_seed(3))
    for _ in range(5):
        optimizer.zero_grad()
        (adapted(rows) - 2).square().mean().backward()
        optimizer.step()
    return adapted
