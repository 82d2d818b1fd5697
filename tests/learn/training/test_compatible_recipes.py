"""The contract of recipes that tie a new model to an old one, over the registry."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript")
pytest.importorskip("pytorch_metric_learning", reason="softmax needs pytorch-metric-learning")

from tiny_training import Quiet, make_labelled, register_tiny, tiny_settings  # noqa: E402
from torch.nn import functional  # noqa: E402

from glocal.encoders.onnx import OnnxEncoder  # noqa: E402
from glocal.encoders.speaks import speaks  # noqa: E402
from glocal.errors import LearnError  # noqa: E402
from glocal.learn import checkpoint, delivery  # noqa: E402
from glocal.learn.delivery import deliver  # noqa: E402
from glocal.learn.recipes.oca import Turned  # noqa: E402
from glocal.learn.recipes.stationary import contrast  # noqa: E402
from glocal.learn.settings import COMPATIBLE  # noqa: E402
from glocal.learn.training import train  # noqa: E402
from glocal.registry import names, part  # noqa: E402

register_tiny()
RECIPES = [name for name in names("recipe") if COMPATIBLE in part("recipe", name).traits]
OLD_DIM, NEW_DIM = 8, 10


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_labelled(tmp_path_factory.mktemp("data") / "all", labels=4)


@pytest.fixture(scope="module")
def old(data, tmp_path_factory):
    """A model that knows the labels 1 and 3 of the four, and its trained result."""
    folder = tmp_path_factory.mktemp("old")
    for label in ("label1", "label3"):
        shutil.copytree(data / label, folder / "data" / label)
    settings = tiny_settings(objective="cores", dim=OLD_DIM, epochs=1, check=100)
    trained = train(folder / "data", settings, run=folder / "run", listener=Quiet())
    deliver(trained, settings, folder / "old.onnx", licence="none", training_data=())
    return folder / "old.onnx"


def settings_for(recipe, old, **changes):
    given = {"dim": OLD_DIM, "objective": "cores", "check": 100, "epochs": 1}
    if recipe == "oca":
        given |= {"dim": NEW_DIM, "objective": "softmax"}
    return tiny_settings(recipe=recipe, compatible_with=str(old), **(given | changes))


def run(data, settings, folder, stop=lambda: False):
    listener = Quiet()
    trained = train(data, settings, run=folder, stop=stop, listener=listener)
    return listener.steps, trained


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_stopped_after_a_step_resumes_bit_for_bit(name, old, data, tmp_path):
    settings = settings_for(name, old)
    steps, whole = run(data, settings, tmp_path / "whole")
    stops = iter([False, True])
    first, _ = run(data, settings, tmp_path / "parts", stop=lambda: next(stops))
    rest, again = run(data, settings, tmp_path / "parts")
    assert len(first) == 2
    assert first + rest == steps
    kept = checkpoint.load(tmp_path / "whole" / "last.pt")["recipe"]
    for key, value in checkpoint.load(tmp_path / "parts" / "last.pt")["recipe"].items():
        assert torch.equal(value, kept[key]), key
    weights = again.model.state_dict()
    assert all(torch.equal(w, weights[key]) for key, w in whole.model.state_dict().items())
    # What the old model knows keeps its number; the rest follows.
    assert whole.classes == ("label1", "label3", "label0", "label2")
    assert whole.speaks == (OnnxEncoder(old).space,)


def test_the_orthogonal_layer_keeps_distances_and_is_merged_into_the_projection():
    turned = Turned(torch.nn.Linear(7, 5))
    torch.nn.init.normal_(turned.turn.parametrizations.weight.original)
    turn = turned.turn.weight
    assert torch.allclose(turn.T @ turn, torch.eye(5), atol=1e-5)
    x = torch.randn(3, 7)
    assert torch.allclose(
        torch.cdist(turned(x), turned(x)),
        torch.cdist(turned.linear(x), turned.linear(x)),
        atol=1e-4,
    )
    assert torch.allclose(turned.merged()(x), turned(x), atol=1e-5)


def test_the_contrastive_tie_equals_a_loop():
    new, old = (functional.normalize(torch.randn(6, 4), dim=1) for _ in range(2))
    labels = torch.tensor([0, 1, 0, 2, 1, 0])
    losses = []
    for i in range(6):
        right = torch.exp(3 * new[i] @ old[i])
        wrong = sum(torch.exp(3 * new[i] @ old[k]) for k in range(6) if labels[k] != labels[i])
        losses.append(-torch.log(right / (right + wrong)))
    assert torch.allclose(contrast(new, old, labels, 3.0), torch.stack(losses).mean(), atol=1e-5)


@pytest.mark.parametrize("name", RECIPES)
def test_vectors_come_nearer_to_the_old_ones_of_the_same_images(name, old, data, tmp_path):
    encoder = OnnxEncoder(old)
    images = np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3)).astype(np.uint8)
    target = np.stack([one.vector for one in encoder.encode(list(images))])

    def likeness(model):
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            new = model.eval()(pixels).vector[:, :OLD_DIM].numpy()
        return float((new * target).sum(axis=1).mean() / np.linalg.norm(new, axis=1).mean())

    settings = settings_for(name, old, epochs=8, average=0.0, lr=3e-3)
    free = tiny_settings(
        objective=settings.objective, dim=settings.dim, check=100, epochs=1, average=0.0, seed=9
    )
    _, tied = run(data, settings, tmp_path / "tied")
    _, apart = run(data, free, tmp_path / "free")
    assert likeness(tied.model) > likeness(apart.model) + 0.1


def test_the_card_names_the_spaces_it_speaks_and_the_order_of_classes(
    old, data, tmp_path, monkeypatch
):
    def copy_with_card(model, card, path, **_):
        shutil.copy(old, path)
        delivery.replace_card(path, card)
        return 0.0

    # What is exported is tested elsewhere, and takes seconds.
    monkeypatch.setattr(delivery, "trace", lambda model: None)
    monkeypatch.setattr(delivery, "export", copy_with_card)
    settings = settings_for("cl2r", old)
    _, trained = run(data, settings, tmp_path / "run")
    deliver(trained, settings, tmp_path / "new.onnx", licence="none", training_data=())
    new = OnnxEncoder(tmp_path / "new.onnx")
    assert speaks(new.card) == (OnnxEncoder(old).space,)
    assert new.card.everything["classes"] == ["label1", "label3", "label0", "label2"]
    assert "compatible_with" not in new.card.everything["trained"]
    third = settings_for("fcpl", tmp_path / "new.onnx")
    _, trained = run(data, third, tmp_path / "third")
    assert trained.speaks == (new.space, OnnxEncoder(old).space)


def test_another_old_model_does_not_resume(old, data, tmp_path):
    settings = settings_for("fcpl", tmp_path / "copy.onnx")
    shutil.copy(old, tmp_path / "copy.onnx")
    run(data, settings, tmp_path / "run", stop=lambda: True)
    shutil.copy(old.with_name("old-half.onnx"), tmp_path / "copy.onnx")
    with pytest.raises(LearnError, match="begun with another old model"):
        run(data, settings, tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"recipe": "cl2r"}, "name its file by --compatible-with"),
        ({"compatible_with": "old.onnx"}, "one of the recipes .*cl2r"),
        ({"compatible_with": "old.onnx", "recipe": "fcpl", "final": "whitening"}, "no longer"),
    ],
)
def test_settings_that_cannot_stay_compatible_are_refused(changes, text):
    with pytest.raises(LearnError, match=text):
        tiny_settings(**changes).check_sense()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"compatible_with": "no.onnx", "recipe": "fcpl"}, "no such file"),
        ({"recipe": "fcpl", "dim": 4}, "use --dim 8 or more"),
        ({"recipe": "oca", "dim": 8}, "extra dimensions"),
        ({"objective": "cores", "dim": 9}, "use --dim 8"),
    ],
)
def test_models_that_cannot_stay_compatible_are_refused(changes, text, old, data, tmp_path):
    settings = tiny_settings(**({"compatible_with": str(old)} | changes))
    with pytest.raises(LearnError, match=text):
        train(data, settings, run=tmp_path, listener=Quiet())
