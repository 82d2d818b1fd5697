"""The convolutions of a model file as a torch module, to be trained and put back into the file.

A model comes as ONNX, so that no code of its network is needed: convolutions, sums and activations
between them are computed in torch, and what else there is stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.quantization import constants

_COMPUTED = {"Conv", "Clip", "Relu", "Add"}


class FileLayers(nn.Module):
    """Some nodes of a model's graph.

    Args:
        model: a ``ModelProto`` whose nodes have names; see `glocal.learn.quantization.quantisable`.
        nodes: those to compute, in order: convolutions, sums and activations.
        purpose: what the module is for, as an error should say it.

    Attributes:
        given: tensors that come from the rest of the graph, in order.
        watched: tensors that the rest of the graph reads, and each sum, in order.
        convolutions: each convolution by the name of its weights, without dots.

    Raises:
        LearnError: there are other nodes among them, or padding that is not told.
    """

    def __init__(self, model: Any, nodes: Sequence[Any], purpose: str = "train") -> None:
        super().__init__()
        other = {node.op_type for node in nodes} - _COMPUTED
        if other:
            raise LearnError(
                f"only networks of convolutions can be made to {purpose}, and this one has "
                f"{', '.join(sorted(other))}"
            )
        self.nodes = tuple(nodes)
        known = constants(model)
        self.convolutions = nn.ModuleDict()
        self._pads: dict[str, tuple[int, int, int, int]] = {}
        self._limits: dict[str, tuple[float | None, float | None]] = {}
        for node in nodes:
            if node.op_type == "Conv":
                layer, self._pads[node.name] = _convolution(node, known)
                if key(node) not in self.convolutions:
                    self.convolutions[key(node)] = layer
            elif node.op_type == "Clip":
                ends = [known[name] if name else None for name in (*node.input[1:], "", "")]
                low, high = (None if end is None else float(end) for end in ends[:2])
                self._limits[node.name] = low, high
        inside = {node.name for node in nodes}
        made = {name for node in nodes for name in node.output}
        read = {n for node in model.graph.node if node.name not in inside for n in node.input}
        read |= {value.name for value in model.graph.output}
        read |= {n for node in model.graph.node for n in _inside_branches(node)}
        self.given = sorted({n for node in nodes for n in node.input} - made - set(known) - {""})
        self.watched = [
            node.output[0] for node in nodes if node.op_type == "Add" or node.output[0] in read
        ]

    def forward(self, given: Mapping[str, Tensor] | Tensor) -> dict[str, Tensor]:
        """What the watched tensors hold, ``(n, c, h, w)`` each.

        Args:
            given: tensors of `given` by name; a tensor alone where there is only one.
        """
        if isinstance(given, Tensor):
            given = {self.given[0]: given}
        found = {name: self._kept(name, value) for name, value in given.items()}
        for node in self.nodes:
            self.compute(node, found)
        return {name: found[name] for name in self.watched}

    def compute(self, node: Any, found: dict[str, Tensor]) -> None:
        """Compute what one of the nodes gives, and put it among what is found."""
        name, first = node.output[0], found[node.input[0]]
        if node.op_type == "Conv":
            value = self._convolved(node, first)
        elif node.op_type == "Add":
            value = first + found[node.input[1]]
        elif node.op_type == "Relu":
            value = first.relu()
        else:
            value = _limited(first, *self._limits[node.name])
        found[name] = self._kept(name, value)

    def padded(self, node: Any, given: Tensor) -> Tensor:
        """The input of a convolution with zeros around it, as many as the node says."""
        return self._around(node, given, even=True)

    def products(self) -> list[tuple[nn.Parameter, nn.Parameter | None]]:
        """The weights of each convolution, and its bias, if it has one."""
        layers: Any = self.convolutions.values()
        return [(layer.weight, layer.bias) for layer in layers]

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Weights and biases by their names in the model."""
        found = {}
        for node in self.nodes:
            if node.op_type == "Conv":
                layer: Any = self.convolutions[key(node)]
                both = (layer.weight, layer.bias)[: len(node.input) - 1]
                for name, value in zip(node.input[1:], both, strict=True):
                    found[name] = value.detach().contiguous().numpy()
        return found

    def _kept(self, name: str, value: Tensor) -> Tensor:
        """What is kept of a tensor; a subclass may round it."""
        return value

    def _applied(self, layer: nn.Module, given: Tensor) -> Tensor:
        """What a layer makes of its padded input; a subclass may round its weights."""
        found: Tensor = layer(given)  # called as a module, so that it can be traced and hooked
        return found

    def _convolved(self, node: Any, given: Tensor) -> Tensor:
        return self._applied(self.convolutions[key(node)], self._around(node, given, even=False))

    def _around(self, node: Any, given: Tensor, *, even: bool) -> Tensor:
        """The input of a convolution with zeros around it, unless the layer adds them itself."""
        top, left, bottom, right = self._pads[node.name]
        if (top, left) == (bottom, right) and not even:
            return given
        return functional.pad(given, (left, right, top, bottom))


def _limited(value: Tensor, low: float | None, high: float | None) -> Tensor:
    if low is None or high is None:
        return value.clamp(low, high)
    return functional.hardtanh(value, low, high)  # a clamp's gradient takes several passes


def key(node: Any) -> str:
    """The name of a convolution in `FileLayers.convolutions`."""
    return str(node.input[1]).replace(".", "/")


def _convolution(
    node: Any, known: Mapping[str, NDArray[Any]]
) -> tuple[nn.Conv2d, tuple[int, int, int, int]]:
    """The layer of a node, and its padding at the top, left, bottom and right."""
    wanted = _attributes(node)
    weight = torch.from_numpy(np.array(known[node.input[1]], np.float32))
    bias = len(node.input) > 2
    top, left, bottom, right = wanted["pads"]
    even = (top, left) == (bottom, right)
    layer = nn.utils.skip_init(
        nn.Conv2d,
        weight.shape[1] * wanted["group"],
        weight.shape[0],
        tuple(weight.shape[2:]),
        stride=tuple(wanted["strides"]),
        padding=(top, left) if even else 0,
        dilation=tuple(wanted["dilations"]),
        groups=wanted["group"],
        bias=bias,
    )
    layer.weight = nn.Parameter(weight)
    if bias:
        layer.bias = nn.Parameter(torch.from_numpy(np.array(known[node.input[2]], np.float32)))
    return layer, (top, left, bottom, right)


def _attributes(node: Any) -> dict[str, Any]:
    """Strides, padding, dilations and groups of a convolution; those that ONNX leaves out too."""
    from onnx import helper

    given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    if given.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise LearnError("only convolutions with explicit padding can be trained")
    return {"strides": [1, 1], "pads": [0, 0, 0, 0], "dilations": [1, 1], "group": 1} | given


def _inside_branches(node: Any) -> set[str]:
    """Tensors that the branches of a node read."""
    return {
        name
        for each in node.attribute
        if each.HasField("g")
        for inner in each.g.node
        for name in (*inner.input, *_inside_branches(inner))
    }
