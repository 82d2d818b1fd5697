"""Graphs that are rewritten give what they gave, in fewer passes."""

from __future__ import annotations

import copy

import numpy as np
import pytest

onnx = pytest.importorskip(
    "onnx", reason="rewriting graphs needs onnx: pip install 'glocal[learn]'"
)

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from glocal.learn.lean_graph import branches, lean  # noqa: E402
from glocal.learn.quantization import Plan, open_model, quantised  # noqa: E402

IMAGE = np.random.default_rng(0).integers(0, 256, (1, 12, 16, 3), np.uint8)
IMAGE.reshape(-1)[:256] = np.arange(256)  # every value of a byte


def model(nodes, constants, *, inputs=(), output="out"):
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, "H", "W", 3]), *inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def kinds(made):
    return [node.op_type for node in made.graph.node]


def leaner(made, **inputs):
    """The rewritten model, after a check that its output is what it was."""
    before = copy.deepcopy(made)
    lean(made)
    feed = {"image": IMAGE, **inputs}
    (expected,), (found,) = (open_model(each).run(["out"], feed) for each in (before, made))
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=2e-6, atol=1e-5)
    return made


def scaling(steps, *, turned=True):
    """An image, turned to planes, that goes through arithmetic with single numbers."""
    nodes, last = [], "image"
    if turned:
        nodes.append(helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]))
        last = "planes"
    nodes.append(helper.make_node("Cast", [last], ["floats"], to=TensorProto.FLOAT))
    last, constants = "floats", {}
    for number, (kind, value) in enumerate(steps):
        name = "out" if number == len(steps) - 1 else f"step_{number}"
        nodes.append(helper.make_node(kind, [last, f"value_{number}"], [name]))
        constants[f"value_{number}"] = np.float32(value)
        last = name
    return model(nodes, constants)


USUAL = [("Div", 255), ("Mul", 255), ("Sub", 127), ("Div", 128)]


@pytest.mark.parametrize("turned", [True, False])
def test_an_image_is_scaled_in_one_pass(turned):
    made = leaner(scaling(USUAL, turned=turned))
    assert kinds(made) == ["Transpose", "DequantizeLinear"][not turned :]


@pytest.mark.parametrize(
    "steps",
    [
        [("Div", 255), ("Sub", 0.4561), ("Div", 0.225)],  # 0 lies between two bytes
        [("Sub", 300), ("Div", 128)],  # 0 is no byte
        [("Sub", -1), ("Div", 128)],
        [("Mul", 0), ("Add", 1)],
    ],
)
def test_what_no_byte_stands_for_is_left(steps):
    made = scaling(steps)
    before = kinds(made)
    assert kinds(leaner(made)) == before


ARITHMETIC = st.tuples(
    st.sampled_from(["Mul", "Div", "Add", "Sub"]), st.sampled_from([-2.0, 0.5, 1.0, 3.0, 127.0])
)


@given(st.lists(ARITHMETIC, min_size=1, max_size=5))
def test_any_arithmetic_gives_what_it_gave(steps):
    leaner(scaling(steps))


def test_a_step_that_others_use_stays():
    made = scaling(USUAL)
    made.graph.node.append(helper.make_node("Identity", ["step_1"], ["other"]))
    made.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, None))
    leaner(made)
    assert "Sub" in kinds(made)
    (found,) = open_model(made).run(["other"], {"image": IMAGE})
    assert np.allclose(found, IMAGE.transpose(0, 3, 1, 2), atol=1e-3)


def powers(exponent, *, least=1e-6, learned=False):
    constants = {
        "least": np.float32(least), "exponent": np.float32(exponent), "unit": np.float32(40),
        "low": np.float32(1), "high": np.float32(9),
    }  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["floats", "unit"], ["scaled"]),
        helper.make_node("Clip", ["scaled", "least"], ["positive"]),
        helper.make_node("Clip", ["exponent", "low", "high"], ["limited"]),
        helper.make_node("Pow", ["positive", "limited" if learned else "exponent"], ["out"]),
    ]
    return model(nodes, constants)


@pytest.mark.parametrize("learned", [True, False])
def test_a_power_becomes_two_fast_functions(learned):
    made = leaner(powers(2.5, learned=learned))
    assert "Pow" not in kinds(made)
    assert kinds(made)[-3:] == ["Log", "Mul", "Exp"]


@pytest.mark.parametrize(("exponent", "least"), [(2.0, 1e-6), (3.0, 1e-6), (2.5, 0.0)])
def test_whole_exponents_and_zeros_keep_their_power(exponent, least):
    assert "Pow" in kinds(leaner(powers(exponent, least=least)))
    assert "Pow" in kinds(leaner(powers(exponent, least=least, learned=True)))


def choice(size=300):
    """A product with a turned matrix that is computed where it is asked for."""
    matrix = np.random.default_rng(1).normal(size=(size, 256)).astype(np.float32)
    inner = [
        helper.make_node("Transpose", ["matrix"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["rows", "turned"], ["product"]),
        helper.make_node("Add", ["product", "zero"], ["asked"]),
    ]
    other = [helper.make_node("Identity", ["rows"], ["not_asked"])]

    def branch(nodes, name):
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph(nodes, name, [], [value])

    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "shape"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "first"], ["rows"]),
        helper.make_node(
            "If",
            ["ask"],
            ["out"],
            then_branch=branch(inner, "asked"),
            else_branch=branch(other, "not_asked"),
        ),
    ]
    first = np.random.default_rng(2).normal(size=(3, 256)).astype(np.float32) / 300
    constants = {
        "matrix": matrix, "first": first, "shape": np.array([-1, 3]), "ask": np.array(False),
        "zero": np.float32(0),
    }  # fmt: skip
    asked = helper.make_tensor_value_info("ask", TensorProto.BOOL, [])
    return model(nodes, constants, inputs=[asked])


@pytest.mark.parametrize("ask", [True, False])
def test_what_is_constant_in_a_branch_is_computed_before_it(ask):
    made = leaner(choice(), ask=np.array(ask))
    assert kinds(made) == ["Cast", "Reshape", "MatMul", "Transpose", "If"]
    inside = [[node.op_type for node in branch.node] for _, branch in branches(made.graph)]
    assert ["MatMul", "Add"] in inside


def test_a_product_in_a_branch_is_computed_in_bytes():
    made = choice()
    chosen = plan_of_first(made)
    found = quantised(chosen)
    lean(found)
    inside = {n.op_type for _, branch in branches(found.graph) for n in branch.node}
    assert "MatMulInteger" in inside
    assert "MatMul" not in inside
    stored = [each.name for each in found.graph.initializer if each.name.endswith("_in_bytes")]
    assert stored == ["turned_in_bytes"]
    feed = {"image": IMAGE, "ask": np.array(True)}
    (expected,) = open_model(chosen.model).run(["out"], feed)
    (got,) = open_model(found).run(["out"], feed)
    assert np.abs(got - expected).max() < 0.02 * np.abs(expected).max()
    assert not np.array_equal(expected, got)


def plan_of_first(made):
    """A plan in which, besides the branch, the first product is quantised."""
    for number, node in enumerate(made.graph.node):
        node.name = f"node_{number}"
    (rows,) = open_model(made, ["rows"]).run(["rows"], {"image": IMAGE})
    ranges = {"pixels": (0.0, 255.0), "rows": (float(rows.min()), float(rows.max()))}
    return Plan(made, (made.graph.node[2],), ranges, 0)


def test_small_products_in_branches_stay_in_float():
    found = quantised(plan_of_first(choice(size=8)))
    inside = {n.op_type for _, branch in branches(found.graph) for n in branch.node}
    assert "MatMulInteger" not in inside
