"""What a model file computes of its last feature maps to get the vector, in torch and for batches.

Files encode one image at a time. Here many are pooled, projected and brought to unit length at
once, with a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.quantization import constants

_OUTPUT = "vector"
_PRODUCTS = ("Gemm", "MatMul")


class FileVector(nn.Module):
    """The nodes between some tensors and the vector, with the constants they need.

    Matrices that are stored in single precision, and what is added to their products, can be
    trained.

    Args:
        model: a ``ModelProto`` with the output ``vector``.
        known: names of the tensors that it is computed from.

    Attributes:
        products: what can be trained: each matrix, and what is added to its product, if anything.

    Raises:
        NotImplementedError: there is a node among them that is not known here, or a tensor that
            does not come from these.
    """

    def __init__(self, model: Any, known: Sequence[str]) -> None:
        super().__init__()
        fixed = constants(model)
        made = {name: node for node in model.graph.node for name in node.output}
        self._nodes: list[Any] = []
        self._fixed: dict[str, Tensor] = {}
        seen: set[str] = set()

        def need(name: str) -> None:
            if name in seen or name in known or not name:
                return
            seen.add(name)
            if name in fixed:
                self._fixed[name] = torch.from_numpy(np.array(fixed[name]))
                return
            node = made.get(name)
            last = node is not None and name == _OUTPUT and node.op_type in _OF_THE_BATCH
            if node is None or (node.op_type not in _COMPUTE and not last):
                what = "an input" if node is None else node.op_type
                raise NotImplementedError(f"the vector depends on {what}")
            for each in node.input[:1] if last or node.op_type == "Expand" else node.input:
                need(each)
            if not last:
                self._nodes.append(node)
            else:
                self._result = node.input[0]

        self._result = _OUTPUT
        need(_OUTPUT)
        self._attributes = {id(node): _attributes(node) for node in self._nodes}
        self._learned: dict[str, nn.Parameter] = {}
        self.products: list[tuple[nn.Parameter, nn.Parameter | None]] = []
        stored = {each.name for each in model.graph.initializer}
        for node in self._nodes:
            names = [name for name in node.input[1:] if name]
            fresh = all(name in stored and name in self._fixed for name in names)
            if node.op_type in _PRODUCTS and names and fresh:  # each once, though used again
                both = [self._learn(name) for name in names]
                self.products.append((both[0], both[1] if len(both) > 1 else None))

    def _learn(self, name: str) -> nn.Parameter:
        self._learned[name] = nn.Parameter(self._fixed.pop(name))
        self.register_parameter(f"learned_{len(self._learned)}", self._learned[name])
        return self._learned[name]

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """What can be trained, by its name in the model."""
        return {name: value.detach().numpy() for name, value in self._learned.items()}

    def forward(self, found: Mapping[str, Tensor]) -> Tensor:
        """Vectors ``(n, d)`` of unit length, from the tensors by their names."""
        values: dict[str, Tensor] = {**self._fixed, **self._learned, **found}
        for node in self._nodes:
            # A length is expanded to the shape of what it divides: broadcasting does the same.
            names = node.input[:1] if node.op_type == "Expand" else node.input
            given = [values[name] if name else None for name in names]
            values[node.output[0]] = _COMPUTE[node.op_type](self._attributes[id(node)], *given)
        return functional.normalize(values[self._result].flatten(1), dim=1)


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _axes(given: dict[str, Any], axes: Tensor | None) -> list[int]:
    return [int(axis) for axis in (given["axes"] if axes is None else axes)]


def _mean(given: dict[str, Any], x: Tensor, axes: Tensor | None = None) -> Tensor:
    return x.mean(_axes(given, axes), keepdim=bool(given.get("keepdims", 1)))


def _length(given: dict[str, Any], x: Tensor, axes: Tensor | None = None) -> Tensor:
    squares = x.square().sum(_axes(given, axes), keepdim=bool(given.get("keepdims", 1)))
    return squares.clamp_min(1e-24).sqrt()


def _gemm(given: dict[str, Any], x: Tensor, matrix: Tensor, bias: Tensor | None = None) -> Tensor:
    turned = matrix.T if given.get("transB", 0) else matrix
    product: Tensor = given.get("alpha", 1.0) * ((x.T if given.get("transA", 0) else x) @ turned)
    if bias is not None:
        product = product + given.get("beta", 1.0) * bias
    return product


_COMPUTE: dict[str, Callable[..., Tensor]] = {
    "Add": lambda _, x, y: x + y,
    "Sub": lambda _, x, y: x - y,
    "Mul": lambda _, x, y: x * y,
    "Div": lambda _, x, y: x / y,
    "Pow": lambda _, x, y: x**y,
    "Exp": lambda _, x: x.exp(),
    "Log": lambda _, x: x.log(),
    "Sqrt": lambda _, x: x.sqrt(),
    "Clip": lambda _, x, low=None, high=None: x.clamp(low, high),
    "Relu": lambda _, x: x.relu(),
    "ReduceMean": _mean,
    "ReduceL2": _length,
    "GlobalAveragePool": lambda _, x: x.mean((2, 3), keepdim=True),
    "Flatten": lambda _, x: x.flatten(1),
    "Expand": lambda _, x: x,
    "Gemm": _gemm,
    "MatMul": lambda _, x, y: x @ y,
    "LpNormalization": lambda _, x: functional.normalize(x, dim=1),
}
_OF_THE_BATCH = ("Gather", "Squeeze")  # at the end: the only image
