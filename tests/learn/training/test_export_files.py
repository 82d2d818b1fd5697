from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")
onnx = pytest.importorskip("onnx", reason="exporting needs onnx")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript")

import onnxruntime  # noqa: E402
from tiny_training import (  # noqa: E402
    Quiet,
    TrainableTiny,
    colourful,
    make_labelled,
    register_tiny,
    tiny_settings,
)
from torch import nn  # noqa: E402

from glocal.encoders import DEFAULT_MODEL, OnnxEncoder, bundled_models  # noqa: E402
from glocal.errors import DiskFullError, LearnError, ModelError  # noqa: E402
from glocal.learn.collection import Sample  # noqa: E402
from glocal.learn.delivery import deliver, half_path, name_space  # noqa: E402
from glocal.learn.export import compare, export, fold_norms, halve, trace, write_model  # noqa: E402
from glocal.learn.finishing import choose_fitting, fit_final  # noqa: E402
from glocal.learn.model import EncoderGraph, build_model  # noqa: E402
from glocal.learn.training import train  # noqa: E402

register_tiny()
CARD = {
    "name": "sample", "version": 1, "licence": "MIT", "dim": 8,
    "input": {"area": 64 * 64, "multiple": 32, "max_aspect": 4.0},
}  # fmt: skip
SHAPES = [(64, 64), (96, 160), (32, 128)]


def lively_model(head="gem", **options):
    """A model with statistics and biases unlike those of a new model."""
    torch.manual_seed(0)
    model = build_model(backbone="tiny", head=head, dim=8, local_dim=6, **options)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, std=0.3)
    nn.init.normal_(model.cells.whitening.linear.bias, std=0.1)
    return model.eval()


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def run_file(run, image, *, contributions=True):
    """All outputs for an image."""
    return run.run(None, {"image": image, "with_contributions": np.array(contributions)})


def random_image(seed, height, width):
    return np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    model = lively_model()
    whole, half = folder / "sample.onnx", folder / "sample-half.onnx"
    traced = trace(model)
    differences = (
        export(model, CARD, whole, traced=traced),
        export(model, CARD, half, half=True, traced=traced),
    )
    return model, whole, half, *differences


def test_the_file_agrees_with_the_model_at_any_shape(files):
    model, whole, half, difference, halved = files
    assert difference < 1e-5
    assert 1e-6 < halved < 1e-2
    graph = EncoderGraph(model)
    assert graph.outputs[4:] == ("contributions",)
    for path, tolerance in ((whole, 1e-4), (half, 1e-2)):
        run = session(path)
        assert [output.name for output in run.get_outputs()] == list(graph.outputs)
        for seed, shape in enumerate(SHAPES):
            image = random_image(seed, *shape)
            found = run_file(run, image)
            with torch.no_grad():
                expected = [output.numpy() for output in graph(torch.from_numpy(image))]
            assert [x.shape for x in found] == [x.shape for x in expected]
            assert all(x.dtype == np.float32 for x in found)
            assert found[0] == pytest.approx(expected[0], abs=tolerance)
            assert found[3] == pytest.approx(expected[3], abs=tolerance * float(expected[3].max()))
            assert found[4] == pytest.approx(expected[4], abs=tolerance)
            assert found[4].sum(axis=(0, 1)) == pytest.approx(found[0], abs=1e-5)


def test_contributions_are_computed_only_on_request(files):
    _, whole, half, _, _ = files
    for path in (whole, half):
        run = session(path)
        assert [value.name for value in run.get_inputs()] == ["image"]
        image = random_image(7, 64, 96)
        asked, unasked = (run_file(run, image, contributions=asked) for asked in (True, False))
        for one, other in zip(asked[:4], unasked[:4], strict=True):
            assert np.array_equal(one, other)
        assert asked[4].shape == (2, 3, 8)
        assert unasked[4].size == run.run(["contributions"], {"image": image})[0].size == 0
        grid = OnnxEncoder(path).contributions(image[0])
        assert grid.sum(axis=(0, 1)) == pytest.approx(
            OnnxEncoder(path).encode([image[0]])[0].vector, abs=1e-5
        )


def test_only_what_contributions_alone_need_becomes_optional(files):
    """The slow way: collect what the other outputs need, until nothing is added."""
    graph = onnx.load(str(files[1])).graph
    (choice,) = (node for node in graph.node if node.op_type == "If")
    outside = [node for node in graph.node if node is not choice]
    needed = {value.name for value in graph.output} - {"contributions"}
    while True:
        makers = [node for node in outside if needed & set(node.output)]
        more = needed | {name for node in makers for name in node.input}
        if more == needed:
            break
        needed = more
    assert len(makers) == len(outside)
    inside = next(a.g for a in choice.attribute if a.name == "then_branch").node
    assert len(inside) > 3
    assert needed.isdisjoint(name for node in inside for name in node.output)


def test_a_file_holds_no_paths_of_the_machine_that_made_it(files):
    _, whole, half, _, _ = files
    bundled = bundled_models()[DEFAULT_MODEL]
    for path in (whole, half, bundled):
        data = path.read_bytes()
        assert b"site-packages" not in data
        assert b"stack_trace" not in data
        assert str(Path(__file__).parents[3]).encode() not in data
        assert OnnxEncoder(path).card.dim  # the card stays


def test_large_weights_are_stored_in_half_precision(files):
    _, whole, half, _, _ = files
    stored = {t.name: t for t in onnx.load(str(half)).graph.initializer}
    large = [
        t.name
        for t in onnx.load(str(whole)).graph.initializer
        if t.data_type == onnx.TensorProto.FLOAT and np.prod(t.dims) >= 256
    ]
    assert len(large) > 3
    for name in large:
        assert stored[f"{name}_half"].data_type == onnx.TensorProto.FLOAT16
        assert name not in stored


def test_weights_beyond_half_precision_are_clipped():
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.full((300,), 1e6, np.float32), "w")
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [300])
    node = helper.make_node("Identity", ["w"], ["y"])
    graph = helper.make_graph([node], "g", [], [value], [weight])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    halve(proto)
    run = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    assert run.run(None, {})[0] == pytest.approx(np.full(300, 65504.0))


def test_folded_norms_change_nothing():
    model = lively_model()
    image = torch.rand(1, 3, 64, 96)
    before = model.features(image)
    fold_norms(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    for old, new in zip(before, model.features(image), strict=True):
        assert torch.allclose(old, new, atol=1e-5)


def test_glocal_runs_the_file_and_reads_its_card(files):
    model, whole, _, _, _ = files
    encoder = OnnxEncoder(whole)
    assert encoder.card.everything == CARD
    image = random_image(5, 64, 64)[0]
    found = encoder.encode([image])[0]
    with torch.no_grad():
        expected = EncoderGraph(model)(torch.from_numpy(image[None]))
    assert found.vector == pytest.approx(expected[0].numpy(), abs=1e-4)
    assert found.keypoints.shape == (16, 2)
    assert found.descriptors.shape == (16, 6)


def test_heads_that_are_not_sums_have_no_contributions(tmp_path):
    assert len(EncoderGraph(lively_model("cfcd")).outputs) == 4
    model = lively_model("delf", classes=3)
    assert len(EncoderGraph(model).outputs) == 4
    assert export(model, CARD, tmp_path / "m.onnx") < 1e-4
    assert len(session(tmp_path / "m.onnx").get_outputs()) == 4
    OnnxEncoder(tmp_path / "m.onnx")


def test_a_file_that_differs_from_its_model_is_detected(files):
    model, whole, _, _, _ = files
    data = whole.read_bytes()
    assert compare(model, data) < 1e-5
    other = lively_model()
    with torch.no_grad():
        other.head.whitening.linear.weight[0] *= 1.01
    assert compare(other, data) > 1e-4


def test_export_errors_write_no_file(files, tmp_path, monkeypatch):
    with pytest.raises(LearnError, match="one size only"):
        export(lively_model("rmac"), CARD, tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="the card of model"):
        export(lively_model(), {"name": "x"}, tmp_path / "m.onnx")
    traced = onnx.load(files[1])  # a file does for what is traced
    monkeypatch.setattr("glocal.learn.export.compare", lambda *_: float("nan"))
    with pytest.raises(LearnError, match="was not written"):
        export(files[0], CARD, tmp_path / "m.onnx", traced=traced)
    assert list(tmp_path.iterdir()) == []


def test_no_source_dominates_the_images_for_fitting():
    counts = {0: 30, 1: 500, 2: 3000}
    samples = [Sample(f"{s}/{n}", source=s) for s, count in counts.items() for n in range(count)]
    samples += [Sample(f"held{n}", split="validation") for n in range(50)]

    def taken(dim):
        chosen = choose_fitting(samples, dim, seed=0)
        assert len(set(chosen)) == len(chosen)
        assert all(sample.split == "train" for sample in chosen)
        return [sum(sample.source == source for sample in chosen) for source in range(3)]

    assert taken(16) == [30, 120, 120]
    assert taken(256) == [30, 500, 512]
    assert taken(1000) == [30, 500, 1500]


def test_whitening_is_fitted_to_pooled_features():
    model = lively_model()
    with torch.no_grad():
        model.head.power.fill_(2.61)
    random = np.random.default_rng(0)
    images = [colourful(random, n % 6, (64, 64)) for n in range(60)]
    samples = [Sample(n) for n in range(60)]
    trained = model.head.whitening.linear.weight.clone()
    fit_final(model, samples, lambda s: images[s.path], side=64, whiten=False)
    assert torch.equal(model.head.whitening.linear.weight, trained)
    assert model.head.power.item() == pytest.approx(2.61)
    fit_final(model, samples, lambda s: images[s.path], side=64, whiten=True)
    assert model.head.power.item() == 2.5
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        pooled = model.head.pooled(model.backbone(pixels))
        found = model.head.whitening.linear(pooled)
    assert found.mean(dim=0).abs().max() < 1e-5
    covariance = torch.cov(found.T)
    spread = covariance.diagonal()
    assert (covariance - torch.diag(spread)).abs().max() < 1e-3 * spread.max()
    plain = torch.linalg.eigvalsh(torch.cov(pooled.T)).flip(0)[:8]
    # Halfway to equal variances.
    assert torch.allclose((spread / spread[0]).sqrt(), (plain / plain[0]).pow(0.25), atol=1e-3)


def test_delivery_writes_two_files_with_cards(tmp_path):
    folder = make_labelled(tmp_path / "data", labels=3, each=9)
    settings = tiny_settings(epochs=1, final="whitening", check=100)
    trained = train(folder, settings, run=tmp_path / "run", listener=Quiet())
    output = tmp_path / "mine.onnx"
    before = trained.model.cells.level.offset
    found = deliver(trained, settings, output, licence="MIT", training_data=["colours: 27"])
    # Keypoints lie at the centres of the trained receptive fields.
    assert before == TrainableTiny().levels[1].offset
    assert 0 < abs(before - trained.model.cells.level.offset) < 16
    assert [file.path for file in found] == [output, half_path(output)]
    assert half_path(output).name == "mine-half.onnx"
    assert sorted(path.name for path in tmp_path.glob("*.onnx")) == ["mine-half.onnx", "mine.onnx"]
    for file in found:
        assert file.bytes == file.path.stat().st_size
        card = OnnxEncoder(file.path).card
        assert (card.name, card.dim, card.licence) == (file.path.stem, 8, "MIT")
        assert (card.area, card.multiple) == (64 * 64, 32)
        assert re.fullmatch(r"mine-v1-[0-9a-f]{8}", card.space)
        everything = card.everything
        assert everything["local"] == {"dim": 12, "count": 128, "stride": 16}
        assert everything["training_data"] == ["colours: 27"]
        assert everything["accuracy"] == {
            f"held-out {kind}": round(value, 4) for kind, value in file.figures.items()
        }
        assert set(file.figures) == {"mAP", "mAP labels"}
        assert everything["trained"]["images"] == {"train": 21, "validation": 6}
        assert everything["trained"]["head"] == "gem"
        assert json.dumps(everything).find(str(tmp_path)) < 0
    image = np.asarray(Image.new("RGB", (40, 50), (200, 30, 90)))
    one, other = (OnnxEncoder(file.path) for file in found)
    assert float(one.encode([image])[0].vector @ other.encode([image])[0].vector) > 0.999
    assert one.space == other.space


def test_vectors_of_one_file_are_searched_with_its_half_size_twin(files):
    _, whole, half, _, _ = files
    random = np.random.default_rng(3)
    images = [colourful(random, hue, (64, 64)) for hue in range(6) for _ in range(3)]
    stored, asked = (
        np.stack([OnnxEncoder(path).encode([image])[0].vector for image in images])
        for path in (whole, half)
    )
    similarity = asked @ stored.T
    assert similarity.diagonal().min() > 0.999
    assert similarity.argmax(axis=1).tolist() == list(range(len(images)))
    # Neighbours are the same, but for those that are as near as rounding can tell.
    own = stored @ stored.T
    found = np.take_along_axis(own, np.argsort(-similarity, axis=1)[:, :3], axis=1)
    assert np.sort(found) == pytest.approx(np.sort(own)[:, -3:], abs=2e-3)


def test_each_training_has_a_space_of_its_own():
    model, other = lively_model(), lively_model()
    space = name_space(model, "mine")
    assert space == name_space(other, "mine") != name_space(model, "yours")
    with torch.no_grad():
        other.head.whitening.linear.weight[0, 0] += 1e-6
    assert name_space(other, "mine") != space


def test_a_model_that_cannot_be_written_leaves_the_previous_one(tmp_path, monkeypatch):
    path = tmp_path / "m.onnx"
    write_model(path, b"before")

    def full(self, data):
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DiskFullError, match=r"m\.onnx cannot be written.*the training is kept"):
        write_model(path, b"after")
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]
