"""`scripts/default_model/keep_more.py`: more cells of an image, the first as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
import onnxruntime  # noqa: E402

from glocal.encoders import OnnxEncoder, find_model  # noqa: E402
from glocal.encoders.precision import twin_path  # noqa: E402
from glocal.encoders.speaks import speaks  # noqa: E402
from glocal.upgrade import load_bridge  # noqa: E402

SCRIPTS = Path(__file__).parents[2] / "scripts" / "default_model"
OUTPUTS = ["vector", "keypoints", "descriptors", "scores"]


@pytest.mark.parametrize(("side", "given"), [(320, 300), (96, 36)])
def test_more_cells_are_given_and_the_first_stay(side, given, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from keep_more import keep

    model = onnx.load(find_model("glocal-lite0"))
    image = {"image": np.random.default_rng(1).integers(0, 256, (1, side, side, 3), np.uint8)}
    assert keep(model, 400, 128) == 2
    before = onnxruntime.InferenceSession(model.SerializeToString()).run(OUTPUTS, image)
    assert keep(model, 128, 300) == 2
    assert keep(model, 128, 300) == 0
    after = onnxruntime.InferenceSession(model.SerializeToString()).run(OUTPUTS, image)
    assert np.array_equal(before[0], after[0])
    assert len(after[3]) == given
    for old, new in zip(before[1:], after[1:], strict=True):
        assert np.array_equal(old, new[: len(old)])


def test_a_next_version_speaks_the_space_of_the_one_before(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import keep_more

    bundled = find_model("glocal-lite0")
    old = OnnxEncoder(bundled, precision="float")
    out, twin = tmp_path / "next.onnx", tmp_path / "next.int8.onnx"
    given = ["--count", "30", "--twin", str(twin_path(bundled)), str(twin)]
    given += ["--bridge", str(bundled.with_suffix(".bridge")), str(tmp_path / "next.bridge")]
    monkeypatch.setattr("sys.argv", ["keep_more.py", str(bundled), str(out), *given])
    keep_more.main()
    new = OnnxEncoder(out, precision="float")
    assert new.card.version == old.card.version + 1
    assert new.space == f"glocal-lite0-v{new.card.version}"
    assert speaks(new.card)[:2] == (old.space, *speaks(old.card))[:2]
    assert load_bridge(tmp_path / "next.bridge")[1].new_space == new.space
    image = [np.random.default_rng(2).integers(0, 256, (400, 300, 3), np.uint8)]
    (before,), (after,) = old.encode(image), new.encode(image)
    assert np.array_equal(before.vector, after.vector)
    assert len(after.scores) == 30
    assert np.array_equal(before.descriptors[:30], after.descriptors)


def test_a_twin_that_gives_more_gives_each_model_as_many_as_its_card_says(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from keep_more import write

    bundled = find_model("glocal-lite0")
    few = tmp_path / "few.onnx"
    write(bundled, few, 50)  # its card still names the network whose twin is bundled
    encoder = OnnxEncoder(few, precision="int8")
    assert encoder.encodes == twin_path(bundled)
    image = [np.random.default_rng(3).integers(0, 256, (320, 320, 3), np.uint8)]
    (few_of_it,) = encoder.encode(image)
    (all_of_it,) = OnnxEncoder(bundled, precision="int8").encode(image)
    assert (len(few_of_it.scores), len(all_of_it.scores)) == (50, 400)
    assert np.array_equal(few_of_it.keypoints, all_of_it.keypoints[:50])
