"""The local features that `scripts/default_model` trains: the graph does what the network does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
import onnxruntime  # noqa: E402

from glocal.encoders import find_model  # noqa: E402
from glocal.encoders.precision import twin_path  # noqa: E402

SCRIPTS = Path(__file__).parents[2] / "scripts" / "default_model"
OUTPUTS = ["vector", "keypoints", "descriptors", "scores"]


@pytest.fixture(scope="module", autouse=True)
def scripts() -> Iterator[None]:
    sys.path.insert(0, str(SCRIPTS))
    yield
    sys.path.remove(str(SCRIPTS))


@pytest.fixture(scope="module")
def head():
    from keypoint_head import KeypointHead

    torch.manual_seed(4)
    made = KeypointHead(dim=24, width=32).eval()
    with torch.no_grad():  # spread, so that no two pixels are equally good
        made.pixels.last.weight.mul_(8)
    return made


def image(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(height)
    blocks = rng.integers(0, 256, (1, height // 8, width // 8, 3), np.uint8)
    noise = rng.integers(0, 40, (1, height, width, 3))
    return (np.kron(blocks, np.ones((1, 8, 8, 1))) * 0.8 + noise).clip(0, 255).astype(np.uint8)


def maps_of(model, shown: np.ndarray) -> list:
    from keypoint_head import MAPS

    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    del copied.graph.output[:]
    for name in MAPS:
        info = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1] + [None] * 3)
        copied.graph.output.append(info)
    session = onnxruntime.InferenceSession(copied.SerializeToString())
    return [torch.from_numpy(found) for found in session.run(None, {"image": shown})]


@pytest.mark.parametrize("size", [(96, 160), (160, 64)])
def test_the_graph_gives_what_the_network_gives(head, size):
    from graft_local import graft
    from keypoint_head import at, heat, keypoints

    model, shown = onnx.load(find_model("glocal-lite0")), image(*size)
    before = onnxruntime.InferenceSession(model.SerializeToString()).run(
        ["vector"], {"image": shown}
    )
    maps = maps_of(model, shown)
    graft(model, head, 40)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    vector, points, rows, scores = session.run(OUTPUTS, {"image": shown})
    assert np.array_equal(vector, before[0])  # to the last bit
    with torch.no_grad():
        pixels = torch.from_numpy(shown).permute(0, 3, 1, 2).float() / 255
        described, trust = head.dense(*maps)
        spots, best = keypoints(heat(head.pixels(pixels)), trust.sigmoid(), 40)
        wanted = torch.nn.functional.normalize(at(described, spots), dim=-1)[0].numpy()
    sides = np.array(size[::-1], np.float32)
    apart = np.abs(points[:, None] * sides - spots[0].numpy()[None]).max(axis=2)
    pairs = np.argwhere(apart < 1e-2)
    assert len(pairs) >= 38  # two scores may be equal but for rounding
    graph, network = pairs.T
    assert np.allclose(rows[graph], wanted[network], atol=2e-3)  # weights are kept in half
    assert np.allclose(scores[graph], best[0].numpy()[network], rtol=0.03, atol=1e-4)
    assert np.all(np.diff(scores) <= 0)


def test_the_twin_finds_the_same_and_contributions_stay(head):
    from graft_local import graft

    shown = image(160, 160)
    found = []
    for file in (find_model("glocal-lite0"), twin_path(find_model("glocal-lite0"))):
        model = onnx.load(file)
        old = onnxruntime.InferenceSession(model.SerializeToString())
        graft(model, head, 60)
        new = onnxruntime.InferenceSession(model.SerializeToString())
        asked = {"image": shown, "with_contributions": np.array(True)}
        (kept,), (grid,) = (s.run(["contributions"], asked) for s in (old, new))
        assert np.array_equal(kept, grid)
        found.append(new.run(["keypoints"], {"image": shown})[0])
    apart = np.abs(found[0][:, None] - found[1][None]).max(axis=2).min(axis=1)
    assert np.mean(apart < 1e-4) >= 0.5  # random weights trust nothing; trained ones agree better


def test_a_small_image_has_as_many_keypoints_as_it_can(head):
    from graft_local import graft

    model = onnx.load(find_model("glocal-lite0"))
    graft(model, head, 5000)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    _, points, rows, scores = session.run(OUTPUTS, {"image": image(32, 32)})
    assert points.shape == (28 * 28, 2)
    assert rows.shape == (28 * 28, 24)
    assert len(scores) == 28 * 28


def test_pairs_show_the_same():
    from train_local import paired
    from views import OUTSIDE

    # The second view is the first, moved by (6, 3) pixels and half as large.
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    first = torch.stack([columns, rows], dim=-1)[None] / 64
    second = torch.stack([2 * columns + 6, 2 * rows + 3], dim=-1)[None] / 64
    second = torch.where((second < 1).all(dim=-1, keepdim=True), second, OUTSIDE)
    points = torch.tensor([[[20.5, 31.5], [40.5, 9.5], [2.5, 40.5], [58.5, 60.5]]])
    there, valid = paired(points, first, second)
    assert valid.tolist() == [[True, True, False, True]]  # the third lies left of the second view
    wanted = (points - 0.5 - torch.tensor([6.0, 3.0])) / 2 + 0.5
    near = (there - wanted).abs().amax(dim=2)[0]
    assert near[[0, 1, 3]].max() <= 1.0
