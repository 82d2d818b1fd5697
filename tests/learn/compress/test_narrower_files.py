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
from glocal.learn.compress.delivery import Stopped, compress  # noqa: E402
from glocal.learn.compress.file_times import layer_times  # noqa: E402
from glocal.learn.compress.narrowing import in_multiples, narrow  # noqa: E402
from glocal.learn.compress.reconstruction import Reconstruction  # noqa: E402
from glocal.learn.compress.refitting import _fit, _join, refit  # noqa: E402
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


def network(seed=0, mixed=6):
    """An inverted bottleneck with a sum, GeM and a projection, as a model file of glocal's kind."""
    rng = np.random.default_rng(seed)

    def weights(*shape):
        return (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    # The block's channels are mixtures of some directions: more than stay, at half the operations.
    block = weights(WIDE, mixed) @ weights(mixed, 16)
    stored = {
        "w0": weights(16, 3, 3, 3), "b0": weights(16), "w1": block[:, :, None, None],
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
    # Vectors that differ from image to image, as those of trained models do.
    session = open_model(made, ["pooled"])
    pooled = np.stack([session.run(["pooled"], {"image": i})[0].ravel() for i in IMAGES])
    values, directions = np.linalg.eigh(np.cov(pooled.T))
    white = (directions[:, -8:] / np.sqrt(values[-8:])).T
    for stored in made.graph.initializer:
        new = {"w4": white, "b4": -white @ pooled.mean(0)}.get(stored.name)
        if new is not None:
            stored.CopyFrom(numpy_helper.from_array(new.astype(np.float32), stored.name))
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
    layers = layers_of(found.model)
    widths = {name: layer.out_channels for name, layer in layers.convolutions.items()}
    assert widths == {"w0": 16, "w1": 16, "w2": 16, "w3": 16}
    assert found.flops == pytest.approx((9 * 3 * 16 + 2 * 16 * 16 + 9 * 16) / (
        9 * 3 * 16 + 2 * 16 * WIDE + 9 * WIDE), abs=1e-6)  # fmt: skip
    onnx.checker.check_model(found.model)
    session = open_model(found.model, ["planes", "sum"])
    planes, total = session.run(["planes", "sum"], {"image": IMAGES[0]})
    with torch.no_grad():
        expected = layers(torch.from_numpy(planes))["sum"]
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
            ChannelPlan({"0": sorted(order[:gone])}, torch.rand(1, 3, 4, 4), 1), groups, net
        )
        assert plan.removed["0"] == sorted(order[: 64 - left])
    found = narrow(network(), IMAGES, method="pagcp", goal="flops", keep=0.7)
    assert layers_of(found.model).convolutions["w1"].out_channels in (16, 32, 48)


def test_every_layer_has_a_time():
    proto = network()
    nodes = quantisable(proto)
    times, total = layer_times(proto, nodes, IMAGES[0])
    assert set(times) == {node.name for node in nodes if node.op_type == "Conv"}
    assert 0 < sum(times.values()) < total


@pytest.fixture
def short(monkeypatch):
    """Steps that take little time: few small views."""
    monkeypatch.setattr("glocal.learn.compress.relearning.SIDES", (64,))
    monkeypatch.setattr("glocal.learn.compress.relearning.BATCH", 6)


def run(model, photos, output, *more, steps=6):
    words = ["compress", str(model), "--images", str(photos), "--goal", "flops=0.5", "--steps",
             str(steps), "-o", str(output), *more]  # fmt: skip
    return CliRunner().invoke(glocal, words)


def test_compress_writes_a_smaller_model_that_encodes(model, photos, tmp_path, short):
    output = tmp_path / "small.onnx"
    before = model.read_bytes()
    result = run(model, photos, output, "--labelled")
    assert result.exit_code == 0, result.output
    assert "broken.jpg is left out" in result.output
    assert "on 4 images kept aside vectors agree with the model's by 0.9" in result.output
    assert "before teaching 0.9" in result.output
    for which in ("the model", "smaller, untaught", "smaller"):
        assert f"\n{which}: mAP" in result.output
    assert "it is in a space of its own" in result.output
    assert output.stat().st_size < model.stat().st_size
    encoder = OnnxEncoder(output)
    card = encoder.card.everything
    assert card["name"] == "small"
    assert card["sources"] == ["sample v3"]
    assert encoder.card.space.startswith("small-v1-")
    assert "speaks" not in card
    made = card["compressed"]
    assert made["of"] == file_sha256(model)
    assert made["space"] == "sample-space"
    assert made["steps"] == 6
    assert made["agreement"]["images"] == 4
    assert set(card["accuracy"]) == {"held-out labels"}
    (features,) = encoder.encode([picture(50)])
    assert features.vector.shape == (8,)
    assert model.read_bytes() == before
    written = output.read_bytes()
    result = run(model, photos, output)
    assert result.exit_code == 1
    assert f"there is {output} already" in str(result.exception)
    assert output.read_bytes() == written
    assert not list(tmp_path.glob("*.teaching"))


def test_one_that_agrees_closely_is_in_the_same_space(model, photos, tmp_path, short, monkeypatch):
    monkeypatch.setattr("glocal.learn.compress.delivery.SAME_SPACE", (0.5, 0.5))
    result = run(model, photos, tmp_path / "small.onnx")
    assert "it is in the model's space" in result.output
    assert "mAP" not in result.output  # no labels
    assert OnnxEncoder(tmp_path / "small.onnx").card.space == "sample-space"


def test_teaching_brings_the_smaller_model_closer(model, photos, tmp_path, short):
    samples = read_unlabelled(photos, 0)
    found = compress(model, samples, tmp_path / "m.onnx", goal="flops", keep=0.5, steps=60)
    assert found.taught.median > found.untaught.median
    assert found.taught.median > 0.98
    assert 1 - found.taught.least < 0.7 * (1 - found.untaught.least)
    assert found.flops < 0.5


def test_a_teaching_that_was_stopped_goes_on_as_if_it_had_not(model, photos, tmp_path, short):
    samples = read_unlabelled(photos, 0)
    settings = {"goal": "flops", "keep": 0.5}
    compress(model, samples, tmp_path / "whole.onnx", steps=6, **settings)
    output, seen = tmp_path / "parts.onnx", []

    def third():
        seen.append(1)
        return len(seen) > 3

    stopped = compress(model, samples, output, steps=6, stop=third, **settings)
    assert stopped == Stopped(tmp_path / "parts.teaching", 3)
    assert not output.exists()
    with pytest.raises(LearnError, match=r"with another goal; continue it .* or remove it"):
        compress(model, samples, output, steps=6, goal="flops", keep=0.6)
    with pytest.raises(LearnError, match=r"with another images and seed"):
        compress(model, samples[1:], output, steps=6, seed=1, **settings)
    kept = stopped.partial.read_bytes()
    state = torch.load(stopped.partial, weights_only=True)
    torch.save(state | {"narrow": state["narrow"][:99]}, stopped.partial)
    with pytest.raises(LearnError, match="is damaged; remove it"):
        compress(model, samples, output, steps=6, **settings)
    torch.save(state | {"model": {}}, stopped.partial)
    with pytest.raises(LearnError, match="is damaged; remove it"):
        compress(model, samples, output, steps=6, **settings)
    stopped.partial.write_bytes(kept)
    assert compress(model, samples, output, steps=6, **settings).steps == 6
    assert not stopped.partial.exists()

    def weights(path):
        proto = onnx.load(str(path))
        return {each.name: numpy_helper.to_array(each) for each in proto.graph.initializer}

    one, other = weights(tmp_path / "whole.onnx"), weights(output)
    assert all(np.array_equal(one[name], other[name]) for name in one)
    # Ended with what was reached.
    output.unlink()
    stopped.partial.write_bytes(kept)
    assert compress(model, samples, output, steps=2, **settings).steps == 3


def test_ctrl_c_says_what_is_kept(model, photos, tmp_path, short, monkeypatch):
    monkeypatch.setattr("glocal.cli.training.Stopping.requested", True, raising=False)
    monkeypatch.setattr("glocal.cli.training.Stopping.__init__", lambda self: None)
    result = run(model, photos, tmp_path / "small.onnx")
    assert result.exit_code == 1
    assert "0 of 6 steps are done and kept in" in result.output
    assert (tmp_path / "small.teaching").is_file()
    assert not (tmp_path / "small.onnx").exists()


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
    with pytest.raises(CompressError, match=r"bytes=0\.75 is no goal"):
        compress(model, samples, out, goal="bytes")
    with pytest.raises(LearnError, match=r"images can be read, and 22 are the least"):
        compress(model, samples[:9], out)
    with pytest.raises(CompressError, match=r"is left, not 5\.0%; keep more"):
        compress(model, samples, out, goal="flops", keep=0.05)
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
    assert not out.exists()
    assert not list(tmp_path.glob("*.partial"))


def test_what_is_missing_is_named(model, photos, tmp_path, monkeypatch):
    def fails(*words):
        result = CliRunner().invoke(glocal, ["compress", *map(str, words)])
        assert result.exit_code in (1, 2)
        return f"{result.output}{result.exception}"

    output = ("-o", tmp_path / "small.onnx")
    assert "nothing.onnx" in fails(tmp_path / "nothing.onnx", "--images", photos, *output)
    other = tmp_path / "other.onnx"
    other.write_bytes(b"no model")
    assert "other.onnx" in fails(other, "--images", photos, *output)
    (tmp_path / "empty").mkdir()
    assert "no image below" in fails(model, "--images", tmp_path / "empty", *output)
    assert "does not end in .onnx" in fails(model, "--images", photos, "-o", tmp_path / "small.bin")
    monkeypatch.setattr(
        "glocal.cli.compress.find_spec", lambda name: None if name == "torch_pruning" else name
    )
    said = fails(model, "--images", photos, *output)
    assert "needs the package torch_pruning" in said
    assert "learn" in said


def test_few_images_are_joined_by_more_where_maps_are_small():
    torch.manual_seed(0)
    proto = network()
    whole, small = layers_of(proto), layers_of(proto)
    given = torch.rand(30, 3, 32, 32)
    everything = {n: range(layer.out_channels) for n, layer in whole.convolutions.items()}
    seen = []

    def fit(layer, padded, target):
        seen.append((len(padded), len(target)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glocal.learn.compress.refitting._fit", fit)
        patch.setattr("glocal.learn.compress.refitting._SMALL", 2)
        patch.setattr("glocal.learn.compress.refitting._AT_ONCE", 7)
        refit(small, whole, given[:10], everything, given[10:])
    assert seen == [(10, 10), (30, 30), (30, 30), (30, 30)]


def test_images_that_are_joined_are_computed_as_the_others_were():
    layers = layers_of(network())
    given = torch.rand(30, 3, 32, 32)

    def held(images, nodes):
        found = {"planes": images}
        with torch.no_grad():
            for node in nodes:
                layers.compute(node, found)
        return {name: found[name] for name in ("r0", "r1")}

    nodes = layers.nodes[:4]
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("glocal.learn.compress.refitting._AT_ONCE", 7)
        some = held(given[:10], nodes)
        _join(some, layers, nodes, given[10:])
    at_once = held(given, nodes)
    assert all(torch.allclose(some[name], at_once[name], atol=1e-5) for name in at_once)
