"""One ONNX file of a trained model, with its card, checked against the model it was made from."""

from __future__ import annotations

import copy
import json
import logging
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from glocal.encoders.card import METADATA_KEY, Card
from glocal.errors import DiskFullError, LearnError, MissingExtraError
from glocal.learn import INSTALL
from glocal.learn.model import EncoderGraph, Model

TOLERANCE = 1e-4
_OPSET = 18
_SMALL = 256  # numbers; shorter weights stay in single precision, they cost nothing
_SHAPES = ((224, 320), (320, 224), (96, 64), (32, 160))


def trace(model: Model) -> Any:
    """The ONNX graph of a model, as a ``ModelProto`` without a card.

    Args:
        model: on the CPU; it is not changed.

    Raises:
        LearnError: the head fits one size of images only.
        MissingExtraError: onnx or onnxscript is not installed.
    """
    if model.head.fixed_size:
        raise LearnError("this head's graph fits images of one size only: export another")
    graph = EncoderGraph(copy.deepcopy(model).eval())
    fold_norms(graph)
    return _trace(graph)


def export(
    model: Model,
    card: Mapping[str, Any],
    path: Path,
    *,
    half: bool = False,
    traced: Any = None,
) -> float:
    """Write a model as glocal runs it.

    Args:
        model: on the CPU.
        card: all of it; see `glocal.encoders.card.Card`.
        path: of the file, which is replaced in one step.
        half: store weights in half precision, for a file of half the size.
        traced: what `trace` made of the model, where it is there already; it is not changed.

    Returns:
        The largest difference of a vector's number between the file and the model, over random
        images of several shapes.

    Raises:
        LearnError: the head fits one size of images only, or, with weights in single precision,
            the file does not agree with the model to 1e-4.
        DiskFullError: it cannot be written.
        MissingExtraError: onnx or onnxscript is not installed.
    """
    Card.read(json.dumps(dict(card)), str(path))
    proto = copy.deepcopy(traced) if traced is not None else trace(model)
    if half:
        halve(proto)
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(dict(card), sort_keys=True)
    data = proto.SerializeToString(deterministic=True)
    difference = compare(model, data)
    if not half and not difference <= TOLERANCE:
        raise LearnError(
            f"the exported file differs from the model by {difference:.1e}, more than "
            f"{TOLERANCE:.0e}; it was not written"
        )
    write_model(path, data)
    return difference


def write_model(path: Path, data: bytes) -> None:
    """Write a model's file: either wholly, or what was there before stays.

    Raises:
        DiskFullError: it cannot be written.
    """
    partial = path.with_suffix(".partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DiskFullError(
            f"the model {path} cannot be written: {error}; what was trained is kept: make room, "
            "and start again with the same options to have it written"
        ) from error


def fold_norms(module: nn.Module) -> None:
    """Fold batch normalisation into the convolution before it, in place, in evaluation mode."""
    for child in module.children():
        fold_norms(child)
    if isinstance(module, nn.Sequential):
        for name, following in zip(list(module._modules), list(module._modules)[1:], strict=False):
            conv, norm = module._modules[name], module._modules[following]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module._modules[name] = fuse_conv_bn_eval(conv, norm)
                module._modules[following] = nn.Identity()


def halve(proto: Any) -> None:
    """Store large weights in half precision, in place; a cast before their use restores them."""
    from onnx import TensorProto, helper, numpy_helper

    graph = proto.graph
    casts = []
    for tensor in list(graph.initializer):
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.size < _SMALL:
            continue
        stored = f"{tensor.name}_half"
        most = np.finfo(np.float16).max
        smaller = np.clip(array, -most, most).astype(np.float16)
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(smaller, stored))
        casts.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def compare(model: Model, data: bytes) -> float:
    """The largest difference of a number of the vector between a file and its model.

    Args:
        model: on the CPU.
        data: of the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    graph = EncoderGraph(copy.deepcopy(model).eval())
    random = np.random.default_rng(0)
    worst = 0.0
    for height, width in _SHAPES:
        image = _random_image(random, height, width)
        with torch.no_grad():
            expected = graph(torch.from_numpy(image))
        found = session.run(list(graph.outputs), {"image": image})
        worst = max(worst, float(np.abs(found[0] - expected[0].numpy()).max()))
        # Strengths are sorted: cells of nearly the same strength may change places, they may not.
        scale = max(1.0, float(expected[3].max()))
        worst = max(worst, float(np.abs(found[3] - expected[3].numpy()).max()) / scale)
        if len(found) > 4:
            worst = max(worst, float(np.abs(found[4].sum(axis=(0, 1)) - found[0]).max()))
    return worst


def _random_image(random: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Noise of several grains, ``(1, h, w, 3)``: of fine noise alone, networks see little."""
    image = np.zeros((height, width, 3))
    for grain in (4, 8, 16, 32):
        coarse = random.random((height // grain, width // grain, 3))
        image += np.kron(coarse, np.ones((grain, grain, 1)))
    return (image / 4 * 255).astype(np.uint8)[None]


def _trace(graph: EncoderGraph) -> Any:
    free = torch.export.Dim.DYNAMIC
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the exporter's own making
            program = torch.onnx.export(
                graph,
                (torch.zeros(1, 224, 320, 3, dtype=torch.uint8),),
                dynamo=True,
                dynamic_shapes={"image": {1: free, 2: free}},
                input_names=[graph.INPUT],
                output_names=list(graph.outputs),
                opset_version=_OPSET,
                verbose=False,
            )
    except ImportError as error:
        raise MissingExtraError(f"exporting needs {error.name}: {INSTALL}") from error
    finally:
        log.setLevel(before)
    if program is None:
        raise LearnError("torch made no ONNX program of the model")
    proto = program.model_proto  # made anew each time it is asked for
    forget_origin(proto)
    return proto


def forget_origin(proto: Any) -> None:
    """Drop what torch notes about each node: source lines, with the paths of this machine."""
    graph = proto.graph
    for one in (
        *(proto.functions, [graph], graph.node, graph.initializer),
        *(graph.input, graph.output, graph.value_info),
    ):
        for noted in one:
            noted.ClearField("metadata_props")
            noted.ClearField("doc_string")
