"""A model in int8: which values its numbers stand for, and which layers stay in float.

Weights become bytes with a scale for each output channel; activations become bytes with one range
for each tensor, chosen to have the least squared error over calibration images. What is quantised
are convolutions, products with constant matrices, and what lies between them; the last such layer
before each output stays in float, as outputs are compared closely, and so do the first ones where
that pays (stems pass few channels of which single ones carry much). ONNX Runtime's own tools
write the graph (Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018; Nagel et al., "A White Paper on Neural Network
Quantization", 2021).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.errors import LearnError
from glocal.learn.lean_graph import branches, put_before

Images = Sequence[NDArray[np.uint8]]
Range = tuple[float, float]
MOST_FIRST = 4
"""At most so many layers at the beginning stay in float."""

_BINS = 2048
_FRACTIONS = np.linspace(0.2, 1, 61)
_TRIES = 24  # images by which it is chosen how many layers stay in float
_WORTH = 1.5
_LARGE = 2**16  # numbers of a matrix that is worth it
_WEIGHTED = ("Conv", "MatMul", "Gemm")
_BETWEEN = ("Clip", "Relu", "Add")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model is quantised.

    Attributes:
        model: in float; weights that are quantised are in single precision, nodes have names.
        nodes: those that are quantised, of `model`, in order.
        ranges: of each tensor of bytes, the least and the largest value.
        floats: how many of the first layers stay in float.
    """

    model: Any
    nodes: tuple[Any, ...]
    ranges: dict[str, Range]
    floats: int


def plan(model: Any, images: Images) -> Plan:
    """Choose ranges, and how many of the first layers stay in float.

    Args:
        model: a ``ModelProto`` of glocal's, which is left as it is.
        images: to calibrate with, each ``(1, h, w, 3)`` uint8 as the model takes it.

    Raises:
        LearnError: nothing in it can be quantised.
    """
    from onnx import ModelProto

    prepared = ModelProto()
    prepared.CopyFrom(model)
    nodes = quantisable(prepared)
    if not any(node.op_type in _WEIGHTED for node in nodes):
        raise LearnError(
            "there is nothing in this model that could be quantised: no convolution and no product "
            "with a constant matrix before its last layers"
        )
    weights_in_single(prepared, nodes)
    tensors = list(dict.fromkeys(name for node in nodes for name in _activations(prepared, node)))
    ranges = {
        name: least_error(*histogram)
        for name, histogram in histograms(prepared, tensors, images).items()
    }
    tries = images[:: max(1, len(images) // _TRIES)]
    truth = vectors(open_model(prepared), tries)
    losses = []
    for floats in range(MOST_FIRST + 1):
        tried = without_first(prepared, nodes, floats)
        if not tried:
            break
        found = vectors(open_model(quantised(Plan(prepared, tried, ranges, floats))), tries)
        losses.append(1 - float((found * truth).sum(1).mean()))
        _log.info("%d first layers in float: vectors agree by %.4f", floats, 1 - losses[-1])
    # The fewest that lose little more than the best number does.
    floats = next(n for n, loss in enumerate(losses) if loss <= _WORTH * max(min(losses), 1e-6))
    return Plan(prepared, without_first(prepared, nodes, floats), ranges, floats)


def quantised(chosen: Plan) -> Any:
    """The model in int8, a ``ModelProto``: its bytes lie between quantising and dequantising."""
    from onnx import ModelProto
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorData, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    model = ModelProto()
    model.CopyFrom(chosen.model)
    ranges = {
        name: TensorData(lowest=np.float32(low), highest=np.float32(high))
        for name, (low, high) in chosen.ranges.items()
    }
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, ranges),
        nodes_to_quantize=[node.name for node in chosen.nodes],
        nodes_to_exclude=[],
        op_types_to_quantize=[*_WEIGHTED, *_BETWEEN],
        extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
    )
    quantizer.quantize_model()
    made = quantizer.model.model
    _branches_in_bytes(made)
    return made


def _branches_in_bytes(model: Any) -> None:
    """Products with constant matrices in branches in bytes, by the range of each run, in place.

    No layer follows there whose range would have to be known; each column has a scale.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    matrices = constants(model) | _turned(model)
    done: set[str] = set()
    for _, branch in branches(graph):
        for node in [each for each in branch.node if each.op_type == "MatMul"]:
            matrix, result = matrices.get(node.input[1]), node.output[0]
            if matrix is None or matrix.ndim != 2 or matrix.size < _LARGE:
                continue
            stored, scales = f"{node.input[1]}_in_bytes", f"{node.input[1]}_scales"
            if stored not in done:
                done.add(stored)
                scale = np.maximum(np.abs(matrix).max(0) / 127, 1e-12).astype(np.float32)
                steps = np.clip(np.round(matrix / scale), -127, 127).astype(np.int8)
                graph.initializer.append(numpy_helper.from_array(steps, stored))
                graph.initializer.append(numpy_helper.from_array(scale, scales))
            names = [f"{result}_{what}" for what in ("bytes", "scale", "zero", "sum", "sums", "by")]
            given, step, zero, whole, single, factor = names
            new = [
                helper.make_node("DynamicQuantizeLinear", [node.input[0]], [given, step, zero]),
                helper.make_node("MatMulInteger", [given, stored, zero], [whole]),
                helper.make_node("Cast", [whole], [single], to=TensorProto.FLOAT),
                helper.make_node("Mul", [step, scales], [factor]),
                helper.make_node("Mul", [single, factor], [result]),
            ]
            put_before(branch, node, new)
            branch.node.remove(node)


def _turned(model: Any) -> dict[str, NDArray[Any]]:
    """Constant matrices that are transposed before they are used."""
    known = constants(model)
    return {
        node.output[0]: known[node.input[0]].T
        for graph in (model.graph, *(branch for _, branch in branches(model.graph)))
        for node in graph.node
        if node.op_type == "Transpose" and node.input[0] in known and known[node.input[0]].ndim == 2
    }


def least_error(low: float, high: float, counts: NDArray[np.float64]) -> Range:
    """The range whose 256 steps have the least squared error.

    Args:
        low: least value of the histogram, at most 0.
        high: its largest value, above 0.
        counts: ``(bins,)``, how often values of each of its equal parts were seen.

    Returns:
        The least and the largest value of the range; 0 is in it.
    """
    values = low + (np.arange(len(counts)) + 0.5) * (high - low) / len(counts)
    errors = []
    for fraction in _FRACTIONS:
        step = fraction * (high - low) / 255
        steps = np.clip(np.round((values - fraction * low) / step), 0, 255)
        errors.append((counts * (steps * step + fraction * low - values) ** 2).sum())
    best = float(_FRACTIONS[int(np.argmin(errors))])
    return best * low, best * high


def open_model(model: Any, outputs: Iterable[str] = ()) -> Any:
    """A session on one thread that gives these tensors besides."""
    import onnxruntime
    from onnx import ModelProto, TensorProto, helper

    watched = ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    data = watched.SerializeToString()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def vectors(session: Any, images: Images) -> NDArray[np.float32]:
    """The vectors of images, ``(n, d)``."""
    return np.stack([session.run(["vector"], {"image": image})[0].ravel() for image in images])


def with_weights(chosen: Plan, weights: dict[str, NDArray[np.float32]]) -> Plan:
    """The same plan with other weights of some names."""
    from onnx import ModelProto, numpy_helper

    model = ModelProto()
    model.CopyFrom(chosen.model)
    for stored in model.graph.initializer:
        if stored.name in weights:
            stored.CopyFrom(numpy_helper.from_array(weights[stored.name], stored.name))
    return Plan(model, chosen.nodes, chosen.ranges, chosen.floats)


def constants(model: Any) -> dict[str, NDArray[Any]]:
    """The weights of a model by name, those in half precision in single where they are cast."""
    from onnx import numpy_helper

    found = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]].astype(np.float32)
    return found


def quantisable(model: Any) -> tuple[Any, ...]:
    """The nodes that can be quantised, in order; gives names to all nodes."""
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{number}"
    known = constants(model)
    made = {name: node for node in model.graph.node for name in node.output}
    leads_on = _before_others(model, known)
    chosen: dict[str, Any] = {}  # by what they give
    for node in model.graph.node:
        inner = [name for name in node.input if name not in known]
        follows = bool(inner) and all(name in chosen for name in inner)
        if node.op_type in _WEIGHTED:
            fits = _weighted(node, known) and node.name in leads_on
        elif node.op_type == "Add":
            fits = follows and len(inner) == len(node.input)
        else:  # after a layer; other limits, such as those of a pooling, are not activations
            fits = node.op_type in _BETWEEN and follows and made[inner[0]].op_type in _WEIGHTED
        if fits:
            chosen[node.output[0]] = node
    return tuple(chosen.values())


def _weighted(node: Any, known: dict[str, NDArray[Any]]) -> bool:
    """Whether a node multiplies by constant weights, and adds a constant if anything."""
    return node.input[0] not in known and all(name in known for name in node.input[1:] if name)


def _before_others(model: Any, known: dict[str, NDArray[Any]]) -> set[str]:
    """Names of layers with weights that lead on to another such layer."""
    ahead: set[str] = set()  # tensors from which a layer is reached
    found = set()
    for node in reversed(model.graph.node):
        layer = node.op_type in _WEIGHTED and _weighted(node, known)
        leads = any(name in ahead for name in node.output)
        if layer and leads:
            found.add(node.name)
        if layer or leads:
            ahead.update(name for name in node.input if name)
    return found


def without_first(model: Any, nodes: Sequence[Any], floats: int) -> tuple[Any, ...]:
    """Without the first layers and all that is computed before the next one."""
    layers = [node.name for node in nodes if node.op_type in _WEIGHTED]
    if floats >= len(layers):
        return ()
    order = [node.name for node in model.graph.node]
    start = order.index(layers[floats])
    return tuple(node for node in nodes if order.index(node.name) >= start)


def _activations(model: Any, node: Any) -> list[str]:
    """Tensors of bytes at a node: what it takes that is no weight, and what it gives."""
    known = constants(model)
    return [name for name in (*node.input, *node.output) if name and name not in known]


def weights_in_single(model: Any, nodes: Sequence[Any]) -> None:
    """Store the weights of nodes in single precision where they were cast from half."""
    from onnx import TensorProto, numpy_helper

    stored = {each.name: each for each in model.graph.initializer}
    wanted = {name for node in nodes for name in node.input}
    casts = [
        node
        for node in model.graph.node
        if node.op_type == "Cast"
        and node.output[0] in wanted
        and node.input[0] in stored
        and stored[node.input[0]].data_type == TensorProto.FLOAT16
    ]
    for cast in casts:
        half = stored[cast.input[0]]
        single = numpy_helper.to_array(half).astype(np.float32)
        model.graph.initializer.remove(half)
        model.graph.initializer.append(numpy_helper.from_array(single, cast.output[0]))
        model.graph.node.remove(cast)


def histograms(
    model: Any, tensors: Sequence[str], images: Images
) -> dict[str, tuple[float, float, NDArray[np.float64]]]:
    """Of each tensor, the least and the largest value, and how often values lie where."""
    session = open_model(model, tensors)
    lows, highs = np.zeros(len(tensors)), np.full(len(tensors), 1e-6)

    def each(do: Callable[[int, NDArray[np.float32]], None]) -> None:
        for image in images:
            for number, values in enumerate(session.run(list(tensors), {"image": image})):
                do(number, values)

    def widen(number: int, values: NDArray[np.float32]) -> None:
        lows[number] = min(lows[number], float(values.min()))
        highs[number] = max(highs[number], float(values.max()))

    counts = np.zeros((len(tensors), _BINS))

    def count(number: int, values: NDArray[np.float32]) -> None:
        scale = _BINS / (highs[number] - lows[number])
        places = ((values.ravel() - lows[number]) * scale).astype(np.int32)
        counts[number] += np.bincount(places.clip(0, _BINS - 1), minlength=_BINS)

    each(widen)
    each(count)
    return {
        name: (float(lows[number]), float(highs[number]), counts[number])
        for number, name in enumerate(tensors)
    }
