"""Twins in int8 of models: ranges, layers that stay in float, training with rounded weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")
onnx = pytest.importorskip("onnx", reason="quantising needs onnx")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from tiny_training import register_tiny  # noqa: E402
from torch import nn  # noqa: E402

from glocal.cli.app import glocal  # noqa: E402
from glocal.encoders import OnnxEncoder  # noqa: E402
from glocal.encoders.hashes import file_sha256  # noqa: E402
from glocal.encoders.onnx import read_card  # noqa: E402
from glocal.encoders.precision import BUNDLED, find_twin, twin_path  # noqa: E402
from glocal.errors import LearnError, ModelError  # noqa: E402
from glocal.learn.export import export  # noqa: E402
from glocal.learn.model import build_model  # noqa: E402
from glocal.learn.quantization import (  # noqa: E402
    Plan,
    least_error,
    open_model,
    plan,
    quantised,
    vectors,
)
from glocal.learn.quantized_delivery import quantize  # noqa: E402
from glocal.learn.quantized_training import Network, train  # noqa: E402

register_tiny()
CARD = {
    "name": "sample", "version": 1, "licence": "MIT", "dim": 8, "space": "sample-space",
    "input": {"area": 64 * 96, "multiple": 32, "max_aspect": 4.0},
}  # fmt: skip


def picture(seed, height=64, width=96):
    """Patches of colour, ``(h, w, 3)``."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return coarse.repeat(8, 0).repeat(8, 1)


IMAGES = [picture(seed)[None] for seed in range(24)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    made = build_model(backbone="tiny", head="gem", dim=8, local_dim=6)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.01, 0.1)
            nn.init.normal_(module.bias, std=0.3)
    path = tmp_path_factory.mktemp("model") / "sample.onnx"
    export(made.eval(), CARD, path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(24):
        Image.fromarray(picture(seed, 128, 192)).save(folder / f"{seed:02d}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")
    monkeypatch.delenv("GLOCAL_PRECISION", raising=False)


def convolutions(channels=3, seed=0):
    """A network whose convolutions follow one another, with a sum and limits, of no glocal kind."""
    rng = np.random.default_rng(seed)

    def weights(*shape):
        return (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    constants = {
        "w0": weights(8, channels, 3, 3), "b0": weights(8), "w1": weights(8, 1, 3, 3),
        "b1": weights(8), "w2": weights(8, 8, 1, 1), "b2": weights(8), "w3": weights(4, 8),
        "low": np.float32(0), "high": np.float32(6), "scale": np.float32(60),
    }  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["floats", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "w0", "b0"], ["c0"], pads=[0, 0, 1, 1], strides=[2, 2]),
        helper.make_node("Clip", ["c0", "low", "high"], ["r0"]),
        helper.make_node("Conv", ["r0", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1], group=8),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"]),
        helper.make_node("Add", ["r0", "c2"], ["sum"]),
        helper.make_node("GlobalAveragePool", ["sum"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3"], ["out"], transB=1),
        helper.make_node("LpNormalization", ["out"], ["vector"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, "H", "W", 3])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made)
    return made


def agreement(one, two):
    return (vectors(open_model(one), IMAGES) * vectors(open_model(two), IMAGES)).sum(1)


def test_the_last_layer_stays_in_float_and_the_others_become_bytes():
    made = convolutions()
    chosen = plan(made, IMAGES)
    assert [node.op_type for node in plan_of_all(chosen)] == [
        "Conv", "Clip", "Conv", "Relu", "Conv", "Add",
    ]  # fmt: skip
    model = quantised(chosen)
    stored = {each.name: each.data_type for each in model.graph.initializer}
    assert stored["w3"] == TensorProto.FLOAT
    assert stored["w2_quantized"] == TensorProto.INT8
    assert agreement(made, model).min() > 0.99


def plan_of_all(chosen):
    """What would be quantised if no first layer stayed in float."""
    from glocal.learn.quantization import quantisable

    return quantisable(chosen.model)


@pytest.mark.parametrize(
    ("losses", "floats"),
    [((0.02, 0.015, 0.002), 2), ((0.02, 0.003, 0.0025), 1), ((0.002, 0.002, 0.002), 0)],
)
def test_as_few_first_layers_stay_in_float_as_lose_little(monkeypatch, losses, floats):
    agreements = iter((1.0, *(1 - loss for loss in losses)))

    def found(session, images):
        return np.full((len(images), 1), next(agreements))

    monkeypatch.setattr("glocal.learn.quantization.vectors", found)
    chosen = plan(convolutions(), IMAGES)
    assert chosen.floats == floats
    stored = {each.name for each in quantised(chosen).graph.initializer}
    for number in range(3):
        assert (f"w{number}_quantized" in stored) == (number >= floats)


def test_ranges_have_the_least_squared_error():
    counts = np.zeros(2048)
    counts[900:1100] = 1000.0
    counts[-1] = 1.0  # one value far out
    low, high = least_error(-10.0, 10.0, counts)
    assert -10 < low < 0 < high < 10
    assert least_error(0.0, 6.0, np.ones(2048)) == (0.0, 6.0)


def test_the_network_computes_what_the_file_does():
    made = convolutions()
    chosen = plan(made, IMAGES)
    chosen = Plan(chosen.model, plan_of_all(chosen), chosen.ranges, 0)
    (planes,) = open_model(chosen.model, ["planes"]).run(["planes"], {"image": IMAGES[0]})
    for rounded, model in ((False, chosen.model), (True, quantised(chosen))):
        names = {name for node in model.graph.node for name in node.output}
        network = Network(chosen, rounded=rounded)
        assert network.given == ["planes"]
        assert network.watched == ["sum"]
        last = "sum_DequantizeLinear_Output" if rounded else "sum"
        assert last in names
        (expected,) = open_model(model, [last]).run([last], {"image": IMAGES[0]})
        with torch.no_grad():
            found = network(torch.from_numpy(planes))["sum"].numpy()
        step = (chosen.ranges["sum"][1] - chosen.ranges["sum"][0]) / 255
        # Values in the middle between two steps may be rounded either way.
        assert np.abs(found - expected).max() < (2.5 * step if rounded else 1e-4)
        assert np.abs(found - expected).mean() < (0.1 * step if rounded else 1e-5)


def test_training_brings_the_twin_closer(monkeypatch):
    monkeypatch.setattr("glocal.learn.quantized_training.LR", 1e-3)  # the network is small
    made = convolutions(seed=3)
    chosen = plan(made, IMAGES)
    coarse = {name: (low * 3, high * 3) for name, (low, high) in chosen.ranges.items()}
    before = Plan(chosen.model, plan_of_all(chosen), coarse, 0)
    losses = []
    after = train(before, IMAGES, steps=150, listen=lambda step, loss: losses.append(loss))
    assert len(losses) == 150
    assert np.mean(losses[-50:]) < 0.95 * np.mean(losses[:50])
    worse, better = agreement(made, quantised(before)), agreement(made, quantised(after))
    assert 1 - better.mean() < 1 - worse.mean()
    again = train(before, IMAGES, steps=150)
    assert quantised(again) == quantised(after)


def test_quantize_writes_a_twin_that_is_used(model, photos, tmp_path, monkeypatch):
    copy = tmp_path / "sample.onnx"
    copy.write_bytes(model.read_bytes())
    result = CliRunner().invoke(glocal, ["quantize", str(copy), "--images", str(photos)])
    assert result.exit_code == 0, result.output
    assert "sample.int8.onnx" in result.output
    assert "made with 22 images" in result.output
    assert "broken.jpg is left out" in result.output
    twin = find_twin(copy, read_card(copy))
    assert twin.path == twin_path(copy)
    made = read_card(twin.path).everything["precision"]
    assert made["of"] == file_sha256(copy)
    assert made["kind"] == "int8"
    assert made["agreement"]["images"] == 2
    assert made["agreement"]["least"] > 0.9
    monkeypatch.setenv("GLOCAL_PRECISION", "int8")
    encoder = OnnxEncoder(copy)
    assert (encoder.precision, encoder.space) == ("int8", "sample-space")
    (one,) = encoder.encode([picture(50)])
    (two,) = OnnxEncoder(copy, precision="float").encode([picture(50)])
    assert one.vector @ two.vector > 0.9
    assert not np.array_equal(one.vector, two.vector)
    cells = encoder.contributions(picture(50))
    assert np.allclose(cells.sum((0, 1)), one.vector, atol=1e-5)
    listed = CliRunner().invoke(glocal, ["models", str(copy)])
    assert "encodes in int8 here" in listed.output


def test_a_file_in_half_precision_gets_a_twin_too(model, photos, tmp_path):
    from glocal.learn.export import halve

    half = onnx.load(str(model))
    halve(half)
    path = tmp_path / "half.onnx"
    path.write_bytes(half.SerializeToString())
    listed = sorted(photos.glob("*.png"))
    found = quantize(path, listed, tmp_path / "half.int8.onnx", steps=3)
    assert (found.images, found.aside, found.skipped) == (22, 2, {})
    card = json.loads(
        next(
            each.value
            for each in onnx.load(str(found.path)).metadata_props
            if each.key == "glocal.card"
        )
    )
    assert card["precision"]["steps"] == 3


def test_what_cannot_be_quantised_is_refused(model, photos, tmp_path):
    listed = sorted(photos.glob("*.png"))
    with pytest.raises(LearnError, match="5 images can be read, and 20 are the least"):
        quantize(model, listed[:5], tmp_path / "twin.onnx")
    with pytest.raises(ModelError, match="there is no model file"):
        quantize(tmp_path / "none.onnx", listed, tmp_path / "twin.onnx")
    twin = quantize(model, listed, tmp_path / "sample.int8.onnx").path
    with pytest.raises(LearnError, match="is in int8 already"):
        quantize(twin, listed, tmp_path / "again.onnx")
    xfeat = BUNDLED / "detectors" / "xfeat.onnx"
    with pytest.raises(ModelError, match=r"xfeat\.onnx takes .* and gives .*glocal needs image"):
        quantize(xfeat, listed, tmp_path / "twin.onnx")
    from tiny_model import write_model

    kept = write_model(tmp_path / "kept.onnx", precision="float")
    with pytest.raises(LearnError, match="its card keeps it in float"):
        quantize(kept, listed, tmp_path / "twin.onnx")
    plain = write_model(tmp_path / "plain.onnx")  # one product with a matrix, right before the end
    with pytest.raises(LearnError, match="nothing in this model that could be quantised"):
        quantize(plain, listed, tmp_path / "twin.onnx")
    assert not (tmp_path / "twin.onnx").exists()
    words = ["quantize", str(model), "--images", str(photos), "-o", str(model)]
    with pytest.raises(LearnError, match="is the model itself"):
        CliRunner().invoke(glocal, words, standalone_mode=False, catch_exceptions=False)
