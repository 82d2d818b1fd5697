"""The search of widths and depths computes what its paper says, and finds what was planted."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("torch_pruning", reason="channels are removed by torch-pruning")

import torch
from torch import nn
from torch.nn import functional

from glocal.errors import CompressError
from glocal.learn.compress import Evidence
from glocal.learn.compress.channels import ChannelGroups
from glocal.learn.compress.distillation import distil
from glocal.learn.compress.supernet import (
    Choices,
    SuperNetwork,
    interpolation,
    mixed,
    mixer,
    runs_of_units,
)
from glocal.learn.compress.tas import (
    SizedPlan,
    TransformableArchitecture,
    _brought_to,
    without_units,
)
from glocal.learn.cost import count_flops
from glocal.trials.zoo import Classifier, SmallResidual

IMAGES = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> Classifier:
    torch.manual_seed(0)
    made = Classifier(SmallResidual((8, 12), units=2), 5)
    for _ in range(3):
        made(IMAGES)  # running statistics
    return made.eval()


@pytest.fixture
def choices(model) -> Choices:
    return Choices(model, ChannelGroups(model, IMAGES[:1]), runs_of_units(model), (0.25, 0.5))


def test_channels_are_averaged_as_the_paper_says():
    for channels, wanted in ((3, 8), (5, 7), (4, 4), (6, 12)):
        matrix = interpolation(channels, wanted)
        for row in range(wanted):
            first = row * channels // wanted
            last = math.ceil((row + 1) * channels / wanted)
            slow = torch.zeros(channels)
            slow[first:last] = 1 / (last - first)
            assert torch.allclose(matrix[row], slow)


def test_mixed_weights_do_what_mixed_maps_would():
    x = torch.randn(2, 6, 5, 5)
    conv = nn.Conv2d(6, 4, 3)
    order = [4, 0, 5, 2, 1, 3]
    weights = {2: torch.tensor(0.3), 4: torch.tensor(0.7)}
    kept = x[:, order]
    sums = torch.zeros_like(kept)
    sums[:, :4] = 0.7 * kept[:, :4] + 0.3 * kept[:, [0, 0, 1, 1]]
    slow = torch.zeros_like(x)
    slow[:, order] = sums
    found = functional.conv2d(
        x, mixed(conv.weight, mixer(weights, order), torch.arange(6)[:, None]), conv.bias
    )
    assert torch.allclose(found, conv(slow), atol=1e-5)


def test_runs_are_the_residual_units_of_each_stage(model):
    assert runs_of_units(model) == [
        ("trunk.stages.0.3", "trunk.stages.0.4"),
        ("trunk.stages.1.4", "trunk.stages.1.5"),
    ]


def test_expected_operations_are_those_of_the_networks(model, choices):
    random = torch.Generator().manual_seed(3)
    for _ in range(6):
        sizes = [int(torch.randint(len(c), (1,), generator=random)) for c in choices.candidates]
        dropped = choices.dropped(sizes)
        groups = ChannelGroups(without_units(model, dropped), IMAGES[:1])
        removed = {
            root: choices.order_in(root)[::-1][: choices.removed_of(root, sizes)]
            for root in groups.sizes
        }
        small = SizedPlan(removed, dropped, IMAGES[:1], 1.0).apply(model)
        assert choices.flops(sizes) == pytest.approx(count_flops(small, IMAGES[:1]), rel=1e-5)


def test_a_stage_gives_the_sum_of_what_it_gives_after_so_many_units(model, choices):
    network, full = SuperNetwork(model, choices), len(choices.roots)
    network.model.eval()
    last = [{len(each) - 1: torch.tensor(1.0)} for each in choices.candidates]
    with network, torch.no_grad():
        network.draw(last)
        assert torch.allclose(network(IMAGES), model(IMAGES), atol=1e-5)
        network.draw([*last[:-1], {0: torch.tensor(0.4), 2: torch.tensor(0.6)}])
        stage = model.trunk.stages[1]
        begun = stage[:4](model.trunk(IMAGES)[0])
        summed = 0.4 * begun + 0.6 * stage[4:](begun)
        assert torch.allclose(network(IMAGES), model.linear(summed.mean(dim=(2, 3))), atol=1e-5)
    assert not network._hooks
    assert len(choices.candidates) == full + 2


def test_a_unit_that_does_nothing_is_left_out_first(model):
    unit = model.trunk.stages[0][4]
    nn.init.zeros_(unit.layer[4].weight), nn.init.zeros_(unit.layer[4].bias)
    plan = TransformableArchitecture(40, shares=(0.5,)).plan(model, 0.72, Evidence(IMAGES))
    assert plan.dropped == ("trunk.stages.0.4",)
    with torch.no_grad():
        apart = (plan.apply(model)(IMAGES) - model(IMAGES)).square().mean() / model(IMAGES).var()
    assert float(apart) < 1e-6


def test_what_cannot_be_searched_is_refused(model):
    with pytest.raises(CompressError, match="at least 4 images"):
        TransformableArchitecture(2).plan(model, 0.5, Evidence(IMAGES[:3]))
    with pytest.raises(CompressError, match="search among smaller shares"):
        TransformableArchitecture(2, shares=(0.9,)).plan(model, 0.05, Evidence(IMAGES))
    with pytest.raises(CompressError, match="at least one step"):
        TransformableArchitecture(0)
    with pytest.raises(CompressError, match=r"in \(0, 1\]"):
        TransformableArchitecture(shares=(0.5, 2.0))


def test_distilling_brings_a_small_network_nearer_to_the_whole_one(model):
    with torch.no_grad():
        model.linear.weight.mul_(30)
    labels = model(IMAGES).argmax(dim=1)
    small = TransformableArchitecture(1).plan(model, 0.5, Evidence(IMAGES)).apply(model)
    for each in small.modules():
        if isinstance(each, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            each.reset_parameters()

    def apart() -> float:
        with torch.no_grad():
            wanted, found = model(IMAGES) / 4, small.eval()(IMAGES) / 4
            return float(
                functional.kl_div(found.log_softmax(1), wanted.softmax(1), reduction="sum")
            )

    before, weights = apart(), {k: v.clone() for k, v in model.state_dict().items()}
    distil(small, model, IMAGES, labels, steps=60, batch=12, weight=1.0, lr=1e-2)
    assert apart() < 0.5 * before
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
    with pytest.raises(CompressError, match="as many labels"):
        distil(small, model, IMAGES, labels[:3])
    with pytest.raises(CompressError, match="temperature above 0"):
        distil(small, model, IMAGES, labels, temperature=0)


def test_a_goal_between_depths_is_met_by_narrower_layers(model, choices):
    """With all widths at their most, one unit more or less would miss the goal by far."""
    logs = [torch.zeros(len(each)) for each in choices.candidates]
    full = [len(each) - 1 for each in choices.candidates]
    least = [*full[:-2], 0, 0]
    goal = 0.5 * (choices.flops(least) + choices.flops([*least[:-1], 1]))
    found = _brought_to(choices, logs, least, goal)
    assert 0.85 * goal < choices.flops(found) <= goal
    assert sum(found[-2:]) > 0
    assert choices.flops(least) < 0.7 * goal
