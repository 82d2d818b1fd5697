"""What every compressor of networks promises, for each in the registry."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("torch_pruning", reason="channels are removed by torch-pruning")

import torch
from torch import nn
from torch.nn import functional

from glocal.errors import CompressError
from glocal.learn.compress import Compressor, Evidence, make_compressor
from glocal.learn.compress.channels import ChannelGroups, ChannelPlan
from glocal.learn.compress.dimap import importances, modules_of
from glocal.learn.compress.ecoflap import CoarseToFine, input_norms, shared_out
from glocal.learn.compress.global_magnitude import GlobalMagnitude
from glocal.learn.compress.weight_masks import highest, prunable
from glocal.learn.cost import count_flops
from glocal.learn.graft import Residual
from glocal.registry import names, part

NAMES = tuple(
    name
    for name in names("compressor", without="vectors")
    if "features" not in part("compressor", name).traits
)
each_compressor = pytest.mark.parametrize("name", NAMES)
KEEP = 0.6


class Tiny(nn.Module):
    """Convolutions, one of each channel by itself, a residual sum, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.unit = Residual(
            nn.Sequential(
                nn.Conv2d(8, 24, 1, bias=False),
                nn.BatchNorm2d(24),
                nn.ReLU6(),
                nn.Conv2d(24, 24, 3, padding=1, groups=24, bias=False),
                nn.BatchNorm2d(24),
                nn.ReLU6(),
                nn.Conv2d(24, 8, 1, bias=False),
                nn.BatchNorm2d(8),
            )
        )
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.unit(self.stem(x)).mean(dim=(2, 3)))


@pytest.fixture(scope="module")
def model() -> Tiny:
    torch.manual_seed(0)
    made = Tiny()
    for _ in range(3):
        made(torch.rand(16, 3, 8, 8))  # running statistics
    return made.eval()


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(16, 3, 8, 8, generator=generator)
    labels = torch.randint(5, (16,), generator=generator)

    @torch.no_grad()
    def losses(network: nn.Module) -> list[float]:
        scores = network(images)
        return [float(functional.cross_entropy(scores, labels)), float(scores.square().mean())]

    return Evidence(images, losses)


@pytest.fixture(scope="module")
def plans(model, evidence) -> dict:
    return {name: make_compressor(name).plan(model, KEEP, evidence) for name in NAMES}


@each_compressor
def test_the_registry_says_what_the_class_says(name):
    made, traits = make_compressor(name), part("compressor", name).traits
    assert isinstance(made, Compressor)
    assert made.name == name
    assert made.saves in traits or "by-image" in traits
    assert made.data_free == ("data-free" in traits)


@each_compressor
def test_the_goal_is_met_and_the_plan_says_what_is_left(name, plans, model, evidence):
    plan, small = plans[name], plans[name].apply(model)
    if make_compressor(name).saves == "weights":
        weights = [w.detach() for w in prunable(small).values()]
        left = sum(int((w != 0).sum()) for w in weights) / sum(w.numel() for w in weights)
        assert abs(left - KEEP) < 0.01
    else:
        counts = [count_flops(small, image[None]) for image in evidence.images]
        left = sum(counts) / len(counts) / count_flops(model, evidence.images[:1])
        assert KEEP - 0.1 < left <= KEEP  # a channel of so small a network is several per cent
    assert plan.kept == pytest.approx(left, abs=1e-3)


@each_compressor
def test_the_smaller_network_computes_what_the_masked_one_does(name, plans, model, evidence):
    with torch.no_grad():
        small = plans[name].apply(model)(evidence.images)
        masked = plans[name].masked(model)(evidence.images)
        alone = torch.cat([plans[name].apply(model)(image[None]) for image in evidence.images])
        whole = model(evidence.images)
    assert torch.allclose(small, masked, atol=1e-5)
    assert torch.allclose(alone, masked, atol=1e-5)
    assert not torch.allclose(small, whole, atol=1e-4)


@each_compressor
def test_the_network_itself_is_not_changed(name, evidence, model):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    plan = make_compressor(name).plan(model, KEEP, evidence)
    plan.apply(model), plan.masked(model)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@each_compressor
def test_planning_twice_is_the_same_and_all_can_be_kept(name, plans, model, evidence):
    first, again = (p.apply(model) for p in (plans[name], plans[name]))
    fresh = make_compressor(name).plan(model, KEEP, evidence).apply(model)
    for one, two, three in zip(*(m.parameters() for m in (first, again, fresh)), strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)
    with torch.no_grad():
        whole = make_compressor(name).plan(model, 1.0, evidence).apply(model)
        assert torch.allclose(whole(evidence.images), model(evidence.images), atol=1e-6)


@each_compressor
def test_the_smaller_network_can_be_trained_on(name, plans, model, evidence):
    small = plans[name].apply(model).train()
    small(evidence.images).square().mean().backward()
    assert any(p.grad is not None and bool(p.grad.abs().sum()) for p in small.parameters())


@each_compressor
def test_what_cannot_be_planned_is_refused(name, model, evidence):
    made = make_compressor(name)
    with pytest.raises(CompressError, match=r"has to be in \(0, 1\], not 0"):
        made.plan(model, 0, evidence)
    if not made.data_free:
        with pytest.raises(CompressError, match="pass evidence"):
            made.plan(model, KEEP)
    outputs_alone = ("ftwt", "reconstruction", "tas")
    if not made.data_free and name not in outputs_alone:
        with pytest.raises(CompressError, match="measures losses"):
            made.plan(model, KEEP, Evidence(evidence.images))
    with pytest.raises(CompressError, match="cannot be made so: "):
        make_compressor(name, speed=2)


def test_a_compressor_of_the_other_kind_is_named():
    with pytest.raises(CompressError, match="make_vector_compressor"):
        make_compressor("pca")
    from glocal.compress import make_vector_compressor

    with pytest.raises(CompressError, match="make_compressor"):
        make_vector_compressor("pagcp")


def test_global_magnitude_keeps_what_a_sort_of_all_weights_keeps(model):
    plan = GlobalMagnitude(floor=0.0).plan(model, 0.25)
    everything = torch.cat([w.detach().abs().flatten() for w in prunable(model).values()])
    limit = everything.sort(descending=True).values[round(0.25 * len(everything)) - 1]
    for name, weight in prunable(model).items():
        assert torch.equal(plan.masks[name], weight.detach().abs() >= limit)


def test_a_floor_saves_a_layer_that_would_be_emptied():
    scores = {"small": torch.arange(1.0, 11.0), "large": torch.arange(100.0, 190.0)}
    assert highest(scores, 0.5).masks["small"].sum() == 0
    kept = highest(scores, 0.5, floor=0.2)
    assert kept.masks["small"].nonzero().flatten().tolist() == [8, 9]
    assert kept.kept == 0.5
    with pytest.raises(CompressError, match=r"a floor of 60\.0% of each layer is more than 50\.0%"):
        highest(scores, 0.5, floor=0.6)


def test_dimap_compares_within_modules():
    names_ = ["layers.0.blocks.1.attn.qkv.weight", "layers.0.blocks.1.mlp.fc1.weight",
              "layers.0.blocks.1.mlp.fc2.weight", "head.weight", "patch_embed.weight"]  # fmt: skip
    assert [len(m) for m in modules_of(names_).values()] == [1, 2, 2]
    found = importances({"one": nn.Parameter(torch.tensor([2.0, -1.0, 3.0]))})["one"]
    assert torch.allclose(found, torch.tensor([4 / 13, 1 / 14, 1.0], dtype=torch.double))


def test_ecoflap_shares_out_all_that_is_to_be_kept():
    sizes = {"a": 100, "b": 100, "c": 200}
    shares = shared_out({"a": 9.0, "b": 1.0, "c": 0.0}, sizes, 0.5, 0.1)
    assert sum(shares[name] * sizes[name] for name in sizes) == pytest.approx(200)
    assert shares["a"] == 1
    assert shares["b"] > shares["c"] >= 0.1


def test_ecoflap_scores_a_layer_by_how_much_the_loss_moves(model):
    def losses(network: nn.Module) -> list[float]:
        return [float(network.head.weight.square().sum())]

    scores = CoarseToFine().scores(model, losses)
    assert scores["head.weight"] > 0
    assert all(score == 0 for name, score in scores.items() if name != "head.weight")


def test_input_norms_are_those_of_what_each_layer_gets(model, evidence):
    norms = input_norms(model, evidence.images)
    stem = evidence.images.transpose(0, 1).flatten(1).norm(dim=1)
    assert torch.allclose(norms["stem.0.weight"].flatten(1)[0], stem, atol=1e-5)
    assert norms["unit.layer.3.weight"].shape == (24, 1, 1, 1)
    assert norms["head.weight"].shape == (1, 8)


def test_counted_operations_are_those_of_the_network_without_the_channels(model, evidence):
    groups = ChannelGroups(model, evidence.images)
    assert "head" not in groups.sizes  # its outputs are those of the network
    assert groups.sizes["unit.layer.0"] == 24
    image = evidence.images[:1]
    assert groups.flops == count_flops(model, image)
    for chosen in ({"unit.layer.0": [0, 5, 7]}, {"unit.layer.0": [1, 2], "stem.0": [3]}):
        small = ChannelPlan(chosen, image, 0).apply(model)
        assert groups.remaining_flops(chosen) == count_flops(small, image)
