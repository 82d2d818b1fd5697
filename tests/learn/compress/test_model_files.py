"""Model files that lose channels: what is planned, taught, written and refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")
onnx = pytest.importorskip("onnx", reason="model files need onnx")
pytest.importorskip("torch_pruning", reason="channels are removed by torch-pruning")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from torch import nn  # noqa: E402

from glocal.cli.app import glocal  # noqa: E402
from glocal.encoders import OnnxEncoder  # noqa: E402
from glocal.encoders.card import METADATA_KEY  # noqa: E402
from glocal.encoders.hashes import file_sha256  # noqa: E402
from glocal.errors import CompressError, LearnError  # noqa: E402
from glocal.learn.collection import read_unlabelled  # noqa: E402
from glocal.learn.compress import Evidence  # noqa: E402
from glocal.learn.compress.channels import ChannelGroups, ChannelPlan  # noqa: E402
from glocal.learn.compress.delivery import compress  # noqa: E402
from glocal.learn.compress.file_times import layer_times  # noqa: E402
from glocal.learn.compress.narrowing import in_multiples, narrow, with_layers  # noqa: E402
from glocal.learn.compress.reconstruction import Reconstruction  # noqa: E402
from glocal.learn.compress.refitting import _fit, refit  # noqa: E402
from glocal.learn.file_layers import FileLayers  # noqa: E402
from glocal.learn.file_vector import FileVector  # noqa: E402
from glocal.learn.quantization import open_model, quantisable  # noqa: E402

WIDE = 64
CARD = {
    "name": "sample", "version": 3, "licence": "MIT", "dim": 8, "space": "sample-space",
    "input": {"area": 64 * 64, "multiple": 32, "max_aspect": 4.0}, "speaks": ["old"],
    "accuracy": {"held-out labels": 0.9},
}  # fmt: skip


def picture(seed, height=64, width=96):
    """Patches of colour, ``(h, w, 3)``."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return coarse.repeat(8, 0).repeat(8, 1)


IMAGES = [picture(seed)[None] for seed in range(24)]


def network(seed=0):
    """An inverted bottleneck with a sum, GeM and a projection, as a model file of glocal's kind."""
    rng = np.random.default_rng(seed)

    def weights(*shape):
        return (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    # The block's channels say little new: they are mixtures of some directions.
    mixed = weights(WIDE, 6) @ weights(6, 16)
    stored = {
        "w0": weights(16, 3, 3, 3), "b0": weights(16), "w1": mixed[:, :, None, None],
        "b1": weights(WIDE), "w2": weights(WIDE, 1, 3, 3), "b2": weights(WIDE),
        "w3": weights(16, WIDE, 1, 1), "b3": weights(16), "w4": weights(8, 16), "b4": weights(8),
        "low": np.float32(0), "high": np.float32(6), "scale": np.float32(60),
        "least": np.float32(1e-6), "power": np.float32(3), "root": np.float32(1 / 3),
        "axes": np.array([2, 3]), "last": np.array([1]), "first": np.array(0),
        "places": np.zeros((4, 2), np.float32), "shape": np.array([4, 16]),
        "corner": np.array([0, 0]), "four": np.array([2, 2]), "across": np.array([2, 3]),
    }  # fmt: skip
    make = helper.make_node
    nodes = [
        make("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        make("Div", ["floats", "scale"], ["scaled"]),
        make("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        make("Conv", ["planes", "w0", "b0"], ["c0"], pads=[0, 0, 1, 1], strides=[2, 2]),
        make("Clip", ["c0", "low", "high"], ["r0"]),
        make("Conv", ["r0", "w1", "b1"], ["c1"]),
        make("Clip", ["c1", "low", "high"], ["r1"]),
        make("Conv", ["r1", "w2", "b2"], ["c2"], pads=[0, 0, 2, 2], group=WIDE),
        make("Relu", ["c2"], ["r2"]),
        make("Conv", ["r2", "w3", "b3"], ["c3"]),
        make("Add", ["r0", "c3"], ["sum"]),
        make("Clip", ["sum", "least"], ["above"]),
        make("Pow", ["above", "power"], ["cubes"]),
        make("ReduceMean", ["cubes", "axes"], ["mean"], keepdims=0),
        make("Pow", ["mean", "root"], ["pooled"]),
        make("Gemm", ["pooled", "w4", "b4"], ["out"], transB=1),
        make("ReduceL2", ["out", "last"], ["length"]),
        make("Div", ["out", "length"], ["unit"]),
        make("Gather", ["unit", "first"], ["vector"]),
        make("Identity", ["places"], ["keypoints"]),
        make("Slice", ["sum", "corner", "four", "across"], ["cells"]),
        make("Reshape", ["cells", "shape"], ["descriptors"]),
        make("ReduceL2", ["descriptors", "last"], ["scores"], keepdims=0),
    ]
    floats = {"vector": [8], "keypoints": [4, 2], "descriptors": [4, 16], "scores": [4]}
    graph = helper.make_graph(
        nodes,
        "block",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, "H", "W", 3])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in floats.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made)
    entry = made.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(CARD)
    return made


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "sample.onnx"
    path.write_bytes(network().SerializeToString())
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for label in ("one", "two"):
        (folder / label).mkdir()
    for seed in range(40):
        picture_ = Image.fromarray(picture(seed, 128, 192))
        picture_.save(folder / ("one" if seed % 2 else "two") / f"{seed:02d}.png")
    (folder / "one" / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    return folder


def layers_of(proto):
    return FileLayers(proto, quantisable(proto)).eval()


def test_layers_and_vector_are_those_of_the_file():
    proto = network()
    layers = layers_of(proto)
    assert (layers.given, layers.watched) == (["planes"], ["sum"])
    end = FileVector(proto, layers.watched)
    session = open_model(proto, ["planes", "sum"])
    rows = [session.run(["planes", "sum", "vector"], {"image": image}) for image in IMAGES[:3]]
    with torch.no_grad():
        found = layers(torch.from_numpy(np.concatenate([row[0] for row in rows])))
        vectors = end(found)
    assert np.allclose(found["sum"], np.concatenate([row[1] for row in rows]), atol=1e-4)
    assert np.allclose(vectors, np.stack([row[2] for row in rows]), atol=1e-5)
    with pytest.raises(NotImplementedError, match="depends on Conv"):
        FileVector(proto, ["r2"])


def test_eliminating_one_by_one_is_least_squares_over_those_that_stay():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 3, padding=1), nn.ReLU(),
        nn.Conv2d(5, 4, 1),
    ).eval()  # fmt: skip
    images = torch.rand(6, 3, 8, 8)
    look = Reconstruction().look(net, Evidence(images))
    assert set(look.groups.sizes) == {"0", "2"}
    plan = look.plan(0.6)
    small = plan.apply(net)
    assert torch.allclose(small(images), plan.masked(net)(images), atol=1e-5)
    curve = look._curves["0"]
    assert sorted(curve.order) == list(range(8))
    assert all(b >= a - 1e-9 for a, b in zip(curve.errors, curve.errors[1:], strict=False))
    # Against one regression of the layer's output on its patches, from scratch.
    with torch.no_grad():
        patches = nn.functional.unfold(net[1](net[0](images)), 3, padding=1)
        patches = patches.transpose(1, 2).flatten(0, 1).double()
    kept = sorted(curve.order[5:])
    rows = [channel * 9 + n for channel in kept for n in range(9)]
    wanted = patches @ net[2].weight.detach().double().flatten(1).T
    a = torch.cat([patches[:, rows], torch.ones(len(patches), 1, dtype=torch.double)], 1)
    residual = wanted - a @ torch.linalg.lstsq(a, wanted).solution
    share = float(residual.square().sum() / (wanted - wanted.mean(0)).square().sum())
    assert curve.errors[5] == pytest.approx(share, rel=0.05)


def test_widths_are_multiples_and_the_file_computes_what_the_layers_do():
    proto = network()
    found = narrow(proto, IMAGES, method="reconstruction", goal="flops", keep=0.5)
    widths = {name: layer.out_channels for name, layer in found.layers.convolutions.items()}
    assert widths == {"w0": 16, "w1": 16, "w2": 16, "w3": 16}
    assert found.flops == pytest.approx((9 * 3 * 16 + 2 * 16 * 16 + 9 * 16) / (
        9 * 3 * 16 + 2 * 16 * WIDE + 9 * WIDE), abs=1e-6)  # fmt: skip
    made = with_layers(found.teacher, found.layers)
    onnx.checker.check_model(made)
    session = open_model(made, ["planes", "sum"])
    planes, total = session.run(["planes", "sum"], {"image": IMAGES[0]})
    with torch.no_grad():
        expected = found.layers(torch.from_numpy(planes))["sum"]
    assert np.allclose(total, expected, atol=1e-4)
    whole = open_model(proto).run(["vector"], {"image": IMAGES[0]})[0]
    assert session.run(["vector"], {"image": IMAGES[0]})[0] @ whole > 0.9


def test_layers_are_fitted_to_what_the_whole_network_gave():
    proto = network()
    whole = layers_of(proto)
    session = open_model(proto, ["planes"])
    rows = [session.run(["planes"], {"image": image})[0] for image in IMAGES]
    given = torch.from_numpy(np.concatenate(rows))
    everything = {n: range(layer.out_channels) for n, layer in whole.convolutions.items()}

    def apart(layers):
        with torch.no_grad():
            wanted = whole(given)["sum"]
            return float((layers(given)["sum"] - wanted).square().mean() / wanted.square().mean())

    same = layers_of(proto)
    refit(same, whole, given, everything)
    assert apart(same) < 1e-8  # nothing is missing, so nothing changes
    torch.manual_seed(0)
    disturbed = layers_of(proto)
    with torch.no_grad():
        for layer in disturbed.convolutions.values():
            layer.weight.add_(torch.randn_like(layer.weight) * layer.weight.std() * 0.5)
    before = apart(disturbed)
    refit(disturbed, whole, given, everything)
    assert apart(disturbed) < 0.05 * before
    # A layer by itself, against a regression from scratch.
    layer = nn.Conv2d(4, 3, 3, padding=1)
    x = torch.randn(8, 4, 6, 6)
    truth = nn.Conv2d(4, 3, 3, padding=1)
    with torch.no_grad():
        _fit(layer, nn.functional.pad(x, (1, 1, 1, 1)), truth(x))
    assert torch.allclose(layer.weight, truth.weight, atol=0.02)
    deep = nn.Conv2d(4, 4, 3, groups=4)
    wanted = nn.Conv2d(4, 4, 3, groups=4)
    with torch.no_grad():
        _fit(deep, x, wanted(x))
    assert torch.allclose(deep.weight, wanted.weight, atol=0.02)


def test_other_compressors_are_rounded():
    net = nn.Sequential(nn.Conv2d(3, 64, 1), nn.ReLU(), nn.Conv2d(64, 4, 1)).eval()
    groups = ChannelGroups(net, torch.rand(1, 3, 4, 4))
    order = groups.magnitudes(net, "0").argsort().tolist()
    for gone, left in ((27, 32), (22, 48), (60, 16), (16, 48), (0, 64)):
        plan = in_multiples(
            ChannelPlan({"0": order[:gone]}, torch.rand(1, 3, 4, 4), 1), groups, net
        )
        assert plan.removed["0"] == sorted(order[: 64 - left])
    found = narrow(network(), IMAGES, method="pagcp", goal="flops", keep=0.7)
    assert found.layers.convolutions["w1"].out_channels in (16, 32, 48)


def test_every_layer_has_a_time():
    proto = network()
    nodes = quantisable(proto)
    times, total = layer_times(proto, nodes, IMAGES[0])
    assert set(times) == {node.name for node in nodes if node.op_type == "Conv"}
    assert 0 < sum(times.values()) < total


def test_compress_writes_a_smaller_model_that_encodes(model, photos, tmp_path):
    output = tmp_path / "small.onnx"
    words = ["compress", str(model), "--images", str(photos), "--goal", "flops=0.5", "--steps", "6", "--labelled",
             "-o", str(output)]  # fmt: skip
    result = CliRunner().invoke(glocal, words)
    assert result.exit_code == 0, result.output
    assert "broken.jpg is left out" in result.output
    assert "the model: mAP" in result.output
    assert "smaller: mAP" in result.output
    assert output.stat().st_size < model.stat().st_size
    encoder = OnnxEncoder(output)
    card = encoder.card.everything
    assert card["name"] == "small"
    assert encoder.card.space.startswith("small-v1-")
    assert "speaks" not in card
    assert card["compressed"]["of"] == file_sha256(model)
    assert card["compressed"]["space"] == "sample-space"
    assert card["compressed"]["steps"] == 6
    assert set(card["accuracy"]) == {"held-out labels"}
    (features,) = encoder.encode([picture(50)])
    assert features.vector.shape == (8,)
    before = output.read_bytes()
    with pytest.raises(LearnError, match="is there already"):
        CliRunner().invoke(glocal, words, standalone_mode=False, catch_exceptions=False)
    assert output.read_bytes() == before


def test_teaching_brings_the_smaller_model_closer(model, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("glocal.learn.compress.narrowing.LR", 3e-3)  # the network is small
    samples = read_unlabelled(photos / "two", 0) + read_unlabelled(photos / "one", 0)
    found = [
        compress(model, samples, tmp_path / f"{steps}.onnx", goal="flops", keep=0.5, steps=steps)
        for steps in (0, 80)
    ]
    assert found[1].median > found[0].median
    assert found[0].flops == found[1].flops < 0.5


def test_what_makes_no_sense_is_refused(model, photos, tmp_path, monkeypatch):
    for goal in ("0.5", "flops=2", "bytes=0.5", "time=0"):
        words = ["compress", str(model), "--images", str(photos), "-o", "m.onnx", "--goal", goal]
        result = CliRunner().invoke(glocal, words)
        assert result.exit_code == 2
        assert "write flops=0.5 to keep half of the operations" in result.output
    samples = read_unlabelled(photos, 0)
    out = tmp_path / "out.onnx"
    with pytest.raises(CompressError, match=r"neither smaller nor faster; use one of pagcp"):
        compress(model, samples, out, method="global-mp")
    with pytest.raises(CompressError, match=r"bytes=0\.5 is no goal"):
        compress(model, samples, out, goal="bytes")
    with pytest.raises(LearnError, match=r"images can be read, and 22 are the least"):
        compress(model, samples[:9], out)
    with pytest.raises(CompressError, match=r"is left, not 5\.0%; keep more"):
        compress(model, samples, out, keep=0.05)
    with pytest.raises(CompressError, match="what is not convolutions takes"):
        compress(model, samples, out, goal="time", keep=0.001)
    with monkeypatch.context() as patch:
        patch.setattr("glocal.learn.compress.narrowing.layer_times", lambda *_: ({}, 1.0))
        with pytest.raises(CompressError, match="use --goal flops=SHARE"):
            compress(model, samples, out, goal="time", keep=0.7)
    from tiny_model import write_model

    plain = write_model(tmp_path / "plain.onnx")  # no convolution at all
    with pytest.raises(LearnError, match="network of convolutions"):
        compress(plain, samples, out)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("glocal.learn.compress.delivery.teach_back", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compress(model, samples, out)
    assert not out.exists()
    assert not list(tmp_path.glob("*.partial"))
