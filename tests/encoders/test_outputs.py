"""A model without one of its outputs, against the package that edits models."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_model import FIVE, FOUR, write_model
from onnx import TensorProto, helper

from glocal.encoders import bundled_models
from glocal.encoders.outputs import without_output


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_model(tmp_path_factory.mktemp("m") / "five.onnx", outputs=FIVE).read_bytes()


def needed_nodes(graph: onnx.GraphProto) -> list[str]:
    """The obvious way: what the outputs need, and what that needs, until nothing is added."""
    names = {output.name for output in graph.output}
    while True:
        makers = [node for node in graph.node if names & set(node.output)]
        more = names | {name for node in makers for name in node.input}
        if more == names:
            return [node.output[0] for node in graph.node if names & set(node.output)]
        names = more


@pytest.mark.parametrize("which", ["tiny", *bundled_models()])
def test_only_what_is_needed_is_left(model: bytes, which: str) -> None:
    whole = model if which == "tiny" else bundled_models()[which].read_bytes()
    got = onnx.load_from_string(without_output(whole, "contributions"))
    wanted = onnx.load_from_string(whole)
    del wanted.graph.output[-1]
    kept = needed_nodes(wanted.graph)
    assert [o.name for o in got.graph.output] == [o.name for o in wanted.graph.output]
    assert [node.output[0] for node in got.graph.node] == kept
    assert len(kept) < len(wanted.graph.node)
    for message in (got, wanted):
        del message.graph.node[:]
    assert got == wanted


def test_what_is_left_gives_the_same(model: bytes) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 64, 3), dtype=np.uint8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    before, after = (
        onnxruntime.InferenceSession(m, options, providers=["CPUExecutionProvider"]).run(
            FOUR, {"image": image}
        )
        for m in (model, without_output(model, "contributions"))
    )
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one, other)


def test_a_model_without_it_stays_as_it_is(model: bytes) -> None:
    assert without_output(model, "nothing") is model
    four = without_output(model, "contributions")
    assert without_output(four, "contributions") is four


def test_a_graph_inside_a_node_may_need_anything() -> None:
    inner = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "inner",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
    )
    choice = helper.make_node("If", ["c"], ["a"], then_branch=inner, else_branch=inner)
    graph = helper.make_graph(
        [helper.make_node("Neg", ["v"], ["x"]), choice],
        "outer",
        [
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, []),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in ("a", "x")],
    )
    data = helper.make_model(graph).SerializeToString()
    assert without_output(data, "x") is data


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_what_is_no_model_stays_as_it_is(data: bytes) -> None:
    assert without_output(data, "contributions") == data


@settings(deadline=None)
@given(cut=st.integers(0, 5000), changed=st.integers(0, 5000), by=st.integers(1, 255))
def test_a_damaged_model_is_left_to_onnx_runtime(
    model: bytes, cut: int, changed: int, by: int
) -> None:
    without_output(model[: cut % len(model)], "contributions")
    flipped = bytearray(model)
    flipped[changed % len(model)] ^= by
    without_output(bytes(flipped), "contributions")
