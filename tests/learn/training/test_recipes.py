"""A recipe owns the step: a teacher, a further network, a bank, a backward pass of its own."""

from __future__ import annotations

import contextlib
import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")
pytest.importorskip("pytorch_metric_learning", reason="arcface needs pytorch-metric-learning")

from tiny_training import Quiet, make_labelled, register_tiny, tiny_settings  # noqa: E402

from glocal.errors import LearnError, PartError  # noqa: E402
from glocal.learn import checkpoint  # noqa: E402
from glocal.learn.contracts import Objective  # noqa: E402
from glocal.learn.recipes.recipe import Recipe  # noqa: E402
from glocal.learn.training import train  # noqa: E402
from glocal.registry import Part, register  # noqa: E402

register_tiny()


class Everything(Recipe):
    """Follows a slow teacher, predicts its vectors by a second network, remembers vectors by image
    number, and descends by gradients that it computes itself, with noise from torch's generator."""

    views = True

    def __init__(self, model, *, pull: float = 0.5, **given):
        super().__init__(model, **given)
        self.pull = pull
        self.teacher = copy.deepcopy(model).eval().requires_grad_(False)
        self.predict = torch.nn.Linear(model.dim, model.dim)
        self.register_buffer("bank", torch.zeros(64, model.dim))

    def step(self, learning, batch):
        pixels, labels, _ = learning.tensors(batch)
        own = batch.labelled
        vectors = learning.model(pixels).vector
        target = self.teacher(pixels + 0.01 * torch.randn_like(pixels)).vector
        told = self.objective(vectors[:own], labels[:own])
        far = (self.predict(vectors) - target).square().mean()
        remembered = (vectors - self.bank[batch.numbers]).square().mean()
        loss = told + self.pull * far + 0.1 * learning.done * remembered
        found = torch.autograd.grad(loss, learning.parameters, allow_unused=True)
        for parameter, gradient in zip(learning.parameters, found, strict=True):
            parameter.grad = gradient
        learning.update()
        with torch.no_grad():
            self.bank[batch.numbers] = vectors
            for slow, quick in zip(
                self.teacher.parameters(), learning.model.parameters(), strict=True
            ):
                slow.lerp_(quick, 0.1)
        return {"loss": float(loss.detach()), "loss teacher": float(far.detach())}


class Plain(Objective):
    """Takes the targets that a test names."""

    def score(self, vectors, labels):
        return (vectors.sum() * 0) + labels.float().mean()


@pytest.fixture(scope="module", autouse=True)
def _registered():
    with contextlib.suppress(PartError):
        register(Part("recipe", "everything", "a test", "test_recipes:Everything"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_labelled(tmp_path_factory.mktemp("data") / "labelled")


def run(data, folder, stop=lambda: False, **more):
    listener = Quiet()
    settings = tiny_settings(
        recipe="everything", check=100, epochs=1, options={"recipe.pull": "0.25"}
    )
    train(data, settings, run=folder, stop=stop, listener=listener, **more)
    return listener.steps, checkpoint.load(folder / "last.pt")


def test_what_a_recipe_keeps_is_stored_and_resumes_bit_for_bit(data, tmp_path):
    steps, whole = run(data, tmp_path / "whole")
    stops = iter([False, True])
    first, _ = run(data, tmp_path / "parts", stop=lambda: next(stops))
    rest, again = run(data, tmp_path / "parts")
    assert len(first) == 2
    assert first + rest == steps
    kept = whole["recipe"]
    assert {"bank", "predict.weight", "objective.loss.W"} <= kept.keys()
    assert any(name.startswith("teacher.") for name in kept)
    assert kept["bank"].any()
    for name, value in kept.items():
        assert torch.equal(value, again["recipe"][name]), name
    assert whole["settings"]["options"] == {"recipe.pull": 0.25}


def test_another_optimizer_and_evaluation_can_be_given(data, tmp_path):
    class ByFirst:
        has_images, decisive = True, "first"

        def __call__(self, encode):
            seen = encode([np.zeros((48, 40, 3), np.uint8)])
            return {"first": float(-seen[0, 0])}

    def plain(groups):
        return torch.optim.SGD(groups, momentum=0.5)

    steps, last = run(data, tmp_path, optimizer=plain, evaluate=ByFirst())
    assert last["optimizer type"] == "SGD"
    assert last["best"] == steps[-1]["first"]
    with pytest.raises(LearnError, match="the optimizer was SGD, is AdamW"):
        run(data, tmp_path)


def test_a_checkpoint_from_before_recipes_resumes(data, tmp_path):
    def plain(folder, stop=lambda: False):
        listener = Quiet()
        settings = tiny_settings(check=100, epochs=1)
        train(data, settings, run=folder, stop=stop, listener=listener)
        return listener.steps

    straight = plain(tmp_path / "whole")
    first = plain(tmp_path / "parts", stop=lambda: True)
    last = checkpoint.load(tmp_path / "parts" / "last.pt")
    recipe = last.pop("recipe")
    last["objectives"] = {name.replace("objective.", "0.", 1): v for name, v in recipe.items()}
    del last["optimizer type"], last["settings"]["recipe"]
    checkpoint.save(tmp_path / "parts" / "last.pt", last)
    assert first + plain(tmp_path / "parts") == straight


@pytest.mark.parametrize(
    ("targets", "right", "wrong"),
    [
        ("values", torch.tensor([0.5, -2.0]), torch.tensor([1, 2])),
        ("values", torch.rand(2, 3), torch.full((2, 3), torch.nan)),
        ("multi-hot", torch.tensor([[1, 0, 1], [0, 0, 0]]), torch.tensor([[1, 0, 2], [0, 0, 0]])),
        ("soft", torch.tensor([[0.2, 0.8], [0.5, 0.5]]), torch.tensor([[0.2, 0.9], [0.5, 0.5]])),
    ],
)
def test_objectives_take_the_targets_they_declare(targets, right, wrong):
    objective = type("Made", (Plain,), {"targets": targets})()
    assert objective(torch.ones(2, 4), right) == right.float().mean()
    with pytest.raises(LearnError, match=f"no {targets} targets"):
        objective(torch.ones(2, 4), wrong)
    with pytest.raises(LearnError, match=rf"{targets} targets \(b, k\), not \(2, 4\) and \(1"):
        objective(torch.ones(2, 4), right[:1])
    with pytest.raises(LearnError, match="whole labels"):
        Plain()(torch.ones(2, 4), torch.rand(2, 3))
