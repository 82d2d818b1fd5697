"""What every merger promises, and what those of glocal compute."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="mergers need torch: pip install 'glocal[learn]'")
from torch import nn  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.mergers.concrete import Concrete, entropy  # noqa: E402
from glocal.learn.mergers.merger import Merger  # noqa: E402
from glocal.learn.mergers.task_arithmetic import TaskArithmetic  # noqa: E402
from glocal.learn.mergers.ties import Ties  # noqa: E402
from glocal.registry import load, names  # noqa: E402

each_merger = pytest.mark.parametrize("name", names("merger"))


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def tuned(base: nn.Module, seed: int, size: float = 0.1) -> nn.Module:
    made = copy.deepcopy(base)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in [*made.parameters(), made[1].running_mean]:
            value.add_(size * torch.randn(value.shape, generator=random))
        made[1].num_batches_tracked.fill_(seed)
    return made


def flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([each.detach().flatten() for each in model.parameters()])


@each_merger
def test_what_did_not_change_stays(name):
    base = network()
    merged = load("merger", name)().merge(base, [copy.deepcopy(base)] * 3)
    assert torch.equal(flat(merged), flat(base))
    assert isinstance(load("merger", name)(), Merger)
    assert load("merger", name).name == name


@each_merger
def test_order_does_not_matter_and_nothing_given_is_changed(name):
    base = network()
    others = [tuned(base, seed) for seed in (1, 2, 3)]
    before = [copy.deepcopy(each.state_dict()) for each in [base, *others]]
    made = load("merger", name)()
    one, two = made.merge(base, others), made.merge(base, others[::-1])
    assert torch.allclose(flat(one), flat(two), atol=1e-6)
    assert not torch.equal(flat(one), flat(base))
    for each, was in zip([base, *others], before, strict=True):
        assert all(torch.equal(value, was[key]) for key, value in each.state_dict().items())


@each_merger
def test_running_statistics_are_averaged_and_counts_are_the_bases(name):
    base = network()
    others = [tuned(base, seed) for seed in (1, 2)]
    merged = load("merger", name)().merge(base, others)
    wanted = (others[0][1].running_mean + others[1][1].running_mean) / 2
    assert torch.allclose(merged[1].running_mean, wanted)
    assert int(merged[1].num_batches_tracked) == 0


@each_merger
def test_networks_that_do_not_fit_are_refused(name):
    base, made = network(), load("merger", name)()
    with pytest.raises(LearnError, match="give one or more"):
        made.merge(base, [])
    other = copy.deepcopy(base)
    other[3] = nn.Linear(4, 5)
    with pytest.raises(LearnError, match=r"network 1 does not fit the base: they differ in '3"):
        made.merge(base, [base, other])


def slow_ties(rows, keep, scale):
    """Parameter by parameter, as the paper's steps say."""
    kept = []
    for row in rows:
        most = sorted((abs(value) for value in row), reverse=True)[: max(1, round(keep * len(row)))]
        kept.append([value if abs(value) in most else 0.0 for value in row])
    merged = []
    for values in zip(*kept, strict=True):
        sign = 1 if sum(values) > 0 else -1
        same = [value for value in values if value * sign > 0]
        merged.append(scale * sum(same) / len(same) if same else 0.0)
    return merged


@pytest.mark.parametrize(("keep", "scale"), [(0.2, 1.0), (0.5, 0.4), (1.0, 1.0), (0.001, 1.0)])
def test_ties_equals_a_slow_loop(keep, scale):
    rows = torch.randn(3, 50, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    found = Ties(keep=keep, scale=scale).change(rows)
    assert found.tolist() == pytest.approx(slow_ties(rows.tolist(), keep, scale))


def test_ties_votes_by_mass_and_leaves_out_the_losers():
    changes = torch.tensor([[3.0, 1.0, 0.5], [-1.0, 1.0, -0.5], [-1.0, 4.0, 0.0]])
    assert Ties(keep=1.0).change(changes).tolist() == [3.0, 2.0, 0.0]


@pytest.mark.parametrize("wrong", [{"keep": 0.0}, {"keep": 1.5}, {"scale": 0.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(LearnError, match=r"keep has to be in \(0, 1\]"):
        Ties(**wrong)


def test_task_arithmetic_adds_up_what_changed():
    changes = torch.tensor([[1.0, 2.0], [3.0, -2.0], [0.0, 4.0]])
    assert TaskArithmetic(scale=0.5).change(changes).tolist() == [2.0, 2.0]
    with pytest.raises(LearnError, match="scale has to be above 0, not -1"):
        TaskArithmetic(scale=-1)


def linear(*weights: float) -> nn.Sequential:
    made = nn.Sequential(nn.Linear(len(weights) // 2, 2, bias=False))
    with torch.no_grad():
        made[0].weight.copy_(torch.tensor(weights).view(2, -1))
    return made


def test_without_images_a_mask_is_task_arithmetic():
    base = network()
    others = [tuned(base, seed) for seed in (1, 2)]
    one, two = (kind(scale=0.7).merge(base, others) for kind in (Concrete, TaskArithmetic))
    assert torch.equal(flat(one), flat(two))


@torch.no_grad()
def test_of_two_changes_that_contradict_each_other_a_mask_lets_one_through():
    # The image has e_0 and e_1. One tuning tells classes apart by e_0, the other one by e_1, and
    # contradicts it; no image has e_2.
    base = linear(0, 0, 0, 0, 0, 0)
    one, two = linear(2, 0, 1, -2, 0, 1), linear(0, -1.9, 0, 0, 1.9, 0)
    image = torch.tensor([[1.0, 1.0, 0.0]])
    made = Concrete(images=[image, image], scale=1.0, steps=200, batch=8)
    with torch.enable_grad():
        merged = made.merge(base, [one, two])
    plain = TaskArithmetic(scale=1.0).merge(base, [one, two])
    assert entropy(plain(image)) > 0.5
    assert entropy(merged(image)) < 0.1
    # Which one is not told by how sure the network is. What is idle is left out as well, since the
    # mask is divided by its mean.
    for one, other, idle in (merged[0].weight / plain[0].weight).tolist():
        assert max(one, other) > 5 * max(min(one, other), idle)


def test_learning_a_mask_is_repeatable_and_changes_nothing_given():
    base = network().train()
    others = [tuned(base, seed, 1.0) for seed in (1, 2)]
    before = [copy.deepcopy(each.state_dict()) for each in (base, *others)]
    images = [torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(n)) for n in (1, 2)]
    double = [lambda output: 2 * output] * 2
    made = Concrete(images=images, classifiers=double, steps=5, batch=3, seed=4)
    state = torch.get_rng_state()
    one, two = made.merge(base, others), made.merge(base, others)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(flat(one), flat(two))
    assert one.training
    other = Concrete(images=images, classifiers=double, steps=5, batch=3, seed=5)
    assert not torch.equal(flat(other.merge(base, others)), flat(one))
    for each, was in zip((base, *others), before, strict=True):
        assert all(torch.equal(value, was[key]) for key, value in each.state_dict().items())
    wanted = (others[0][1].running_mean + others[1][1].running_mean) / 2
    assert torch.allclose(one[1].running_mean, wanted)


def test_images_and_classifiers_have_to_be_as_many_as_tunings():
    base = linear(0, 0, 0, 0)
    rows = torch.ones(1, 2)
    with pytest.raises(LearnError, match="images of 1 tasks and 2 tuned"):
        Concrete(images=[rows]).merge(base, [base, base])
    with pytest.raises(LearnError, match="classifiers of 1 tasks and 2 tuned"):
        Concrete(images=[rows] * 2, classifiers=[nn.Identity()]).merge(base, [base, base])
    with pytest.raises(LearnError, match="a task has no images"):
        Concrete(images=[rows, rows[:0]]).merge(base, [base, base])
    for wrong in ({"steps": 0}, {"batch": 0}, {"rate": 0.0}, {"temperature": 0.0}):
        with pytest.raises(LearnError, match="a mask cannot be learned"):
            Concrete(**wrong)


def test_entropy_is_that_of_the_classes():
    scores = torch.tensor([[0.0, 0.0], [50.0, -50.0]])
    assert float(entropy(scores)) == pytest.approx(torch.log(torch.tensor(2.0)).item() / 2)
