"""Export a trained model to one ONNX file with its card, and compare the file with the model."""

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
from glocal.learn.graft import merge
from glocal.learn.model import EncoderGraph, Model
from glocal.learn.optional_contributions import WITH_CONTRIBUTIONS, make_contributions_optional

TOLERANCE = 1e-4
_OPSET = 18
_SMALL = 256  # smaller tensors stay in single precision: they take no room
_SHAPES = ((224, 320), (320, 224), (96, 64), (32, 160))


def trace(model: Model) -> Any:
    """Make the ONNX graph of a model: a ``ModelProto`` without a card.

    Args:
        model: model on the CPU; it is not changed.

    Raises:
        LearnError: the head's graph would fit images of one size only.
        MissingExtraError: onnx or onnxscript is not installed.
    """
    if model.head.fixed_size:
        raise LearnError(
            "the graph of this head fits images of one size only; train with another head"
        )
    graph = EncoderGraph(copy.deepcopy(model).eval())
    merge(graph)
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
    """Write a model to the file that glocal runs.

    Args:
        model: model on the CPU.
        card: the whole card; see `glocal.encoders.card.Card`.
        path: file to write, which is replaced in one step.
        half: store weights in half precision, for a file of half the size.
        traced: result of `trace` for this model, if it is already there; it is not changed.

    Returns:
        The largest difference between the outputs of the file and of the model, over random
        images of several shapes; see `compare`.

    Raises:
        LearnError: the head's graph would fit images of one size only, or, with weights in single
            precision, the file does not agree with the model to 1e-4.
        DiskFullError: the file cannot be written.
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
    """Write a model file completely, or leave the previous file as it was.

    Raises:
        DiskFullError: the file cannot be written.
    """
    partial = path.with_suffix(".partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DiskFullError(
            f"the model {path} cannot be written: {error}; the training is kept: free some disk "
            "space, then run the same command again to write the model"
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
    """The largest difference between the outputs of a file and of its model.

    It covers the vectors and the scores, in parts of the highest score, and how far the
    contributions are from adding up to the vector.

    Args:
        model: model on the CPU.
        data: content of the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    graph = EncoderGraph(copy.deepcopy(model).eval())
    random = np.random.default_rng(0)
    optional = [value.name for value in session.get_overridable_initializers()]
    asked = {WITH_CONTRIBUTIONS: np.array(True)} if WITH_CONTRIBUTIONS in optional else {}
    worst = 0.0
    for shape in _SHAPES:
        image = _random_image(random, *_fitting(model, shape))
        with torch.no_grad():
            expected = graph(torch.from_numpy(image))
        found = session.run(list(graph.outputs), {"image": image, **asked})
        worst = max(worst, float(np.abs(found[0] - expected[0].numpy()).max()))
        # Only scores are compared of the local features: they are sorted, but cells whose scores
        # are nearly the same may come in another order.
        scale = max(1.0, float(expected[3].max()))
        worst = max(worst, float(np.abs(found[3] - expected[3].numpy()).max()) / scale)
        if len(found) > 4:
            worst = max(worst, float(np.abs(found[4].sum(axis=(0, 1)) - found[0]).max()))
    return worst


def _fitting(model: Model, shape: tuple[int, int]) -> tuple[int, int]:
    """The sides, enlarged to what the backbone takes."""
    multiple = model.backbone.multiple
    height, width = (-(-side // multiple) * multiple for side in shape)
    return height, width


def _random_image(random: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Noise of several grain sizes, ``(1, h, w, 3)``: networks respond little to fine noise."""
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
            warnings.simplefilter("ignore")  # the exporter warns about its own code
            program = torch.onnx.export(
                graph,
                (torch.zeros(1, *_fitting(graph.model, _SHAPES[0]), 3, dtype=torch.uint8),),
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
        raise LearnError(
            "torch exported no ONNX program for this model; train with another head or backbone"
        )
    proto = program.model_proto  # a new one each time the attribute is read
    drop_origin(proto)
    make_contributions_optional(proto)
    return proto


def drop_origin(proto: Any) -> None:
    """Drop torch's notes about each node: they hold source lines with paths of this machine."""
    graph = proto.graph
    for group in (
        *(proto.functions, [graph], graph.node, graph.initializer),
        *(graph.input, graph.output, graph.value_info),
    ):
        for noted in group:
            noted.ClearField("metadata_props")
            noted.ClearField("doc_string")
