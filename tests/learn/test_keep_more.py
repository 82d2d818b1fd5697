"""`scripts/default_model/keep_more.py`: more cells of an image, the first as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
import onnxruntime  # noqa: E402

from glocal.encoders import find_model  # noqa: E402

SCRIPTS = Path(__file__).parents[2] / "scripts" / "default_model"
OUTPUTS = ["vector", "keypoints", "descriptors", "scores"]


@pytest.mark.parametrize(("side", "given"), [(320, 300), (96, 36)])
def test_more_cells_are_given_and_the_first_stay(side, given, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from keep_more import keep

    model = onnx.load(find_model("glocal-lite0"))
    image = {"image": np.random.default_rng(1).integers(0, 256, (1, side, side, 3), np.uint8)}
    before = onnxruntime.InferenceSession(model.SerializeToString()).run(OUTPUTS, image)
    assert keep(model, 128, 300) == 2
    assert keep(model, 128, 300) == 0
    after = onnxruntime.InferenceSession(model.SerializeToString()).run(OUTPUTS, image)
    assert np.array_equal(before[0], after[0])
    assert len(after[3]) == given
    for old, new in zip(before[1:], after[1:], strict=True):
        assert np.array_equal(old, new[: len(old)])
