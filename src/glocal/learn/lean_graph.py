"""Rewrite an ONNX graph so that it gives the same numbers in less time.

ONNX Runtime computes what a graph says, pass by pass: here the scaling of an image becomes one
pass in place of five, a power with an exponent that is no integer two fast functions in place of
one slow one, and what is constant in a branch is computed once and not in each run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ARITHMETIC = {"Mul": np.multiply, "Div": np.divide, "Add": np.add, "Sub": np.subtract}
_NEAR = 1e-3  # steps of a byte


def lean(proto: Any) -> None:
    """Rewrite a ``ModelProto`` in place; outputs stay the same but for rounding."""
    _one_scaling(proto.graph)
    _powers(proto.graph)
    _constants_before_branches(proto.graph)


def constant(graph: Any, name: str) -> NDArray[Any] | None:
    """The value of a tensor that no input of the graph can change, where it is stored in it."""
    from onnx import numpy_helper

    if any(value.name == name for value in graph.input):
        return None
    for stored in graph.initializer:
        if stored.name == name:
            return numpy_helper.to_array(stored)
    for node in graph.node:
        if node.op_type == "Constant" and name in node.output and node.attribute[0].name == "value":
            return numpy_helper.to_array(node.attribute[0].t)
    return None


def branches(graph: Any) -> list[tuple[Any, Any]]:
    """Nodes that have branches, each with one of these, a ``GraphProto``."""
    return [(node, each.g) for node in graph.node for each in node.attribute if each.HasField("g")]


def put_before(graph: Any, node: Any, new: list[Any]) -> None:
    """Insert nodes before one of the graph's."""
    place = next(n for n, each in enumerate(graph.node) if each.output == node.output)
    for number, each in enumerate(new):
        graph.node.insert(place + number, each)


def _one_scaling(graph: Any) -> None:
    """Scale each image of bytes in one pass: what is done to it in turn is ``a x + b``."""
    from onnx import TensorProto, helper, numpy_helper

    inputs = {v.name for v in graph.input if v.type.tensor_type.elem_type == TensorProto.UINT8}
    turned = {n.output[0] for n in graph.node if n.op_type == "Transpose" and n.input[0] in inputs}
    for cast in [n for n in graph.node if n.op_type == "Cast" and n.input[0] in inputs | turned]:
        factor, offset, chain = np.float64(1), np.float64(0), [cast]
        while (step := _only_user(graph, chain[-1].output[0])) is not None:
            by = constant(graph, step.input[1]) if step.op_type in _ARITHMETIC else None
            if by is None or by.size != 1 or step.input[0] != chain[-1].output[0]:
                break
            work, value = _ARITHMETIC[step.op_type], np.float64(by.reshape(()))
            offset = work(offset, value)
            factor = work(factor, value) if step.op_type in ("Mul", "Div") else factor
            chain.append(step)
        zero = -offset / factor if factor else np.float64(-1)
        if len(chain) < 2 or abs(zero - round(zero)) > _NEAR or not 0 <= round(zero) <= 255:
            continue
        given, scale, at = (f"{chain[-1].output[0]}_{what}" for what in ("of", "scale", "zero"))
        graph.initializer.append(numpy_helper.from_array(np.array(factor, np.float32), scale))
        graph.initializer.append(numpy_helper.from_array(np.array(round(zero), np.uint8), at))
        scaled = helper.make_node(
            "DequantizeLinear", [cast.input[0], scale, at], [chain[-1].output[0]], name=given
        )
        put_before(graph, cast, [scaled])
        for node in chain:
            graph.node.remove(node)


def _only_user(graph: Any, name: str) -> Any | None:
    """The node that alone uses a tensor; `None` where another one or a branch does, or none."""
    if any(value.name == name for value in graph.output):
        return None
    users = [node for node in graph.node if name in node.input]
    inside = any(name in node.input for _, branch in branches(graph) for node in branch.node)
    return users[0] if len(users) == 1 and not inside else None


def _powers(graph: Any) -> None:
    """``x ** p`` as ``exp(p log x)``, where x is above 0 and p no integer."""
    from onnx import helper

    made = {name: node for node in graph.node for name in node.output}
    for node in [n for n in graph.node if n.op_type == "Pow"]:
        base = made.get(node.input[0])
        if base is None or base.op_type != "Clip" or len(base.input) < 2:
            continue
        least, exponent = constant(graph, base.input[1]), _clipped(graph, node.input[1])
        if least is None or float(least.min()) <= 0:
            continue
        if exponent is not None and np.all(exponent == np.round(exponent)):
            continue
        logarithm, product = (f"{node.output[0]}_{what}" for what in ("log", "product"))
        steps = [
            helper.make_node("Log", [node.input[0]], [logarithm], name=logarithm),
            helper.make_node("Mul", [logarithm, node.input[1]], [product], name=product),
            helper.make_node("Exp", [product], [node.output[0]], name=f"{node.output[0]}_exp"),
        ]
        put_before(graph, node, steps)
        graph.node.remove(node)


def _clipped(graph: Any, name: str) -> NDArray[Any] | None:
    """A constant, or what limits leave of one, as of an exponent that was learned."""
    limits = next((n for n in graph.node if name in n.output and n.op_type == "Clip"), None)
    if limits is None:
        return constant(graph, name)
    values = [constant(graph, each) if each else None for each in limits.input]
    value, least, most = [*values, None, None][:3]
    return None if value is None else np.clip(value, least, most)


def _constants_before_branches(graph: Any) -> None:
    """Move nodes out of branches that compute the same in each run."""
    inputs = {value.name for value in graph.input}
    known = {stored.name for stored in graph.initializer} - inputs
    for node in graph.node:
        if node.input and all(name in known for name in node.input if name):
            known.update(node.output)
    for node, branch in branches(graph):
        inside = {name for each in branch.node for name in each.output}
        for each in list(branch.node):
            if each.input and all(name in known and name not in inside for name in each.input):
                put_before(graph, node, [each])
                known.update(each.output)
                inside.difference_update(each.output)
                branch.node.remove(each)
