"""Compute the output ``contributions`` of an exported model only when it is asked for.

ONNX Runtime computes every node of a graph, whichever outputs a run asks for, and contributions
take about 8 % of an encoding with the bundled model. So the nodes that only contributions need
move into one branch of an ``If``, behind an optional input that is false unless given.
"""

from __future__ import annotations

from typing import Any

import numpy as np

WITH_CONTRIBUTIONS = "with_contributions"
_OUTPUT = "contributions"


def make_contributions_optional(proto: Any) -> None:
    """Add the optional input ``with_contributions`` to a model, in place.

    The input is a boolean scalar, false unless given; ``contributions`` is then an empty array. A
    model without that output is left as it is.

    Args:
        proto: a ``ModelProto`` whose nodes are in topological order.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = proto.graph
    output = next((value for value in graph.output if value.name == _OUTPUT), None)
    if output is None:
        return
    kept, moved = _split(graph)
    computed, nothing = f"{_OUTPUT}_computed", f"{_OUTPUT}_left_out"
    for node in moved:
        node.output[:] = [computed if name == _OUTPUT else name for name in node.output]
    rank = len(output.type.tensor_type.shape.dim)

    def branch(name: str, nodes: list[Any], result: str, sides: list[int | None]) -> Any:
        value = helper.make_tensor_value_info(result, TensorProto.FLOAT, sides)
        return helper.make_graph(nodes, name, [], [value])

    empty = numpy_helper.from_array(np.zeros((0,) * rank, np.float32))
    constant = helper.make_node("Constant", [], [nothing], value=empty)
    choice = helper.make_node(
        "If",
        [WITH_CONTRIBUTIONS],
        [_OUTPUT],
        then_branch=branch("computed", moved, computed, [None] * rank),
        else_branch=branch("left_out", [constant], nothing, [0] * rank),
    )
    del graph.node[:]
    graph.node.extend([*kept, choice])
    # An input that has an initialiser is optional: the initialiser is its default.
    graph.input.append(helper.make_tensor_value_info(WITH_CONTRIBUTIONS, TensorProto.BOOL, []))
    graph.initializer.append(numpy_helper.from_array(np.array(False), WITH_CONTRIBUTIONS))


def _split(graph: Any) -> tuple[list[Any], list[Any]]:
    """The nodes that other outputs need, and those that only contributions need, in order."""
    needed = {value.name for value in graph.output if value.name != _OUTPUT}
    kept: list[Any] = []
    moved: list[Any] = []
    for node in reversed(graph.node):  # nodes come after what they need
        if needed.isdisjoint(node.output):
            moved.append(node)
        else:
            kept.append(node)
            needed.update(node.input)
    return kept[::-1], moved[::-1]
