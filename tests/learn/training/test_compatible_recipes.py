"""The contract of recipes that tie a new model to an old one, over the registry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")
onnx = pytest.importorskip("onnx", reason="old models are made with onnx")
pytest.importorskip("pytorch_metric_learning", reason="softmax needs pytorch-metric-learning")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from tiny_training import (  # noqa: E402
    Quiet,
    colourful,
    make_labelled,
    register_tiny,
    tiny_settings,
)
from torch.nn import functional  # noqa: E402

from glocal.encoders.card import METADATA_KEY  # noqa: E402
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


def write_old(path: Path, seed: int) -> Path:
    """A model whose vector is the mean colour, projected; its card names two labels.

    An old model is only encoded with, so it need not be trained and exported, which takes seconds.
    """
    random = np.random.default_rng(seed)
    tensors = {
        "scale": np.float32(1 / 255),
        "middle_colour": np.float32(1 / 3),
        "weights": random.normal(size=(3, OLD_DIM)).astype(np.float32),
        "rows": np.array([-1, 3], np.int64),
        "whole": np.array([-1], np.int64),
        "middle": np.full((1, 2), 0.5, np.float32),
        "one": np.ones((1, 1), np.float32),
        "score": np.ones(1, np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "scale"], ["unit"]),
        helper.make_node("Reshape", ["unit", "rows"], ["pixels"]),
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["mean", "middle_colour"], ["centred"]),
        helper.make_node("MatMul", ["centred", "weights"], ["projected"]),
        helper.make_node("LpNormalization", ["projected"], ["long"], axis=1, p=2),
        helper.make_node("Reshape", ["long", "whole"], ["vector"]),
        helper.make_node("Identity", ["middle"], ["keypoints"]),
        helper.make_node("Identity", ["one"], ["descriptors"]),
        helper.make_node("Identity", ["score"], ["scores"]),
    ]
    outputs = {"vector": [OLD_DIM], "keypoints": [1, 2], "descriptors": [1, 1], "scores": [1]}
    graph = helper.make_graph(
        nodes,
        "old",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, "h", "w", 3])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    card = {
        "name": "old", "version": 1, "space": f"old-{seed}", "licence": "none", "dim": OLD_DIM,
        "input": {"area": 64 * 64, "multiple": 32, "max_aspect": 4.0},
        "classes": ["label1", "label3"],
    }  # fmt: skip
    helper.set_model_props(proto, {METADATA_KEY: json.dumps(card)})
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A model that knows the labels 1 and 3 of the four."""
    return write_old(tmp_path_factory.mktemp("old") / "old.onnx", 0)


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
    random = np.random.default_rng(0)
    images = np.stack([colourful(random, label, (64, 64)) for label in (0, 1, 2, 3, 0, 1, 2, 3)])
    target = np.stack([one.vector for one in encoder.encode(list(images))])

    def likeness(model):
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            new = model.eval()(pixels).vector[:, :OLD_DIM].numpy()
        return float((new * target).sum(axis=1).mean() / np.linalg.norm(new, axis=1).mean())

    settings = settings_for(name, old, epochs=8, average=0.0, lr=5e-3)
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
    write_old(tmp_path / "copy.onnx", 1)
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
