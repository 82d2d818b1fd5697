"""Write all routes of a stitched network to one ONNX file, with each weight stored once."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glocal.encoders.card import METADATA_KEY, Card
from glocal.encoders.onnx_file import cut
from glocal.encoders.stitches import stitches_of
from glocal.errors import LearnError
from glocal.learn.export import TOLERANCE, compare, halve, trace, write_model
from glocal.learn.optional_contributions import WITH_CONTRIBUTIONS
from glocal.learn.stitching import Stitched

_SHARED = ("", "image", WITH_CONTRIBUTIONS)  # names that all routes have in common


def trace_routes(joined: Stitched) -> list[Any]:
    """The ONNX graph of each route, as `glocal.learn.export.trace` makes it.

    Args:
        joined: network in evaluation mode, on the CPU.

    Raises:
        LearnError: a head's graph would fit images of one size only.
        MissingExtraError: onnx or onnxscript is not installed.
    """
    return [trace(joined.model(route)) for route in range(joined.routes)]


def export_stitched(
    joined: Stitched,
    card: Mapping[str, Any],
    path: Path,
    *,
    half: bool = False,
    traced: Sequence[Any] | None = None,
) -> float:
    """Write a stitched network to the file that glocal runs.

    Args:
        joined: network in evaluation mode, on the CPU.
        card: the whole card, in which ``stitches`` are those of `Stitched.names`.
        path: file to write, which is replaced in one step.
        half: store weights in half precision, for a file of half the size.
        traced: result of `trace_routes`, if it is already there; it is not changed.

    Returns:
        The largest difference between the outputs of the file and of the network, over all routes
        and random images of several shapes.

    Raises:
        LearnError: routes have other outputs than each other, the card lists other stitches, or,
            with weights in single precision, the file does not agree with the network to 1e-4.
        DiskFullError: the file cannot be written.
        MissingExtraError: onnx or onnxscript is not installed.
    """
    Card.read(json.dumps(dict(card)), str(path))
    names = joined.names()
    listed = tuple(stitch.name for stitch in stitches_of(dict(card), str(path)))
    if listed != names:
        raise LearnError(f"the card lists the stitches {listed}, but the network has {names}")
    protos = [copy.deepcopy(proto) for proto in traced or trace_routes(joined)]
    if half:
        for proto in protos:
            halve(proto)
    merged = merge_routes(names, protos)
    entry = merged.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(dict(card), sort_keys=True)
    data = merged.SerializeToString(deterministic=True)
    difference = max(
        compare(joined.model(route), route_alone(data, name)) for route, name in enumerate(names)
    )
    if not half and not difference <= TOLERANCE:
        raise LearnError(
            f"the exported file differs from the network by {difference:.1e}, more than "
            f"{TOLERANCE:.0e}; it was not written"
        )
    write_model(path, data)
    return difference


def merge_routes(names: Sequence[str], protos: Sequence[Any]) -> Any:
    """One ``ModelProto`` that holds several, whose equal weights are stored once.

    Nodes and outputs of each are named ``NAME/...``, so that `glocal.encoders.onnx_file.cut` can
    tell them apart.

    Args:
        names: of the models.
        protos: the models, without cards.

    Raises:
        LearnError: they have different inputs or outputs.
    """
    merged = copy.deepcopy(protos[-1])
    graph = merged.graph
    for part in (graph.node, graph.output, graph.initializer, graph.value_info):
        del part[:]
    first = _ends(protos[0])
    stored: dict[tuple[Any, ...], str] = {}
    for name, proto in zip(names, protos, strict=True):
        if _ends(proto) != first or proto.functions:
            raise LearnError(
                f"the routes {names[0]} and {name} cannot be in one file: {first} and "
                f"{_ends(proto)} are their outputs and inputs; use heads of one kind"
            )
        renamed = {shared: shared for shared in _SHARED}
        for tensor in proto.graph.initializer:
            if tensor.name == WITH_CONTRIBUTIONS:
                if WITH_CONTRIBUTIONS not in stored.values():
                    stored[(WITH_CONTRIBUTIONS,)] = WITH_CONTRIBUTIONS
                    graph.initializer.append(tensor)
                continue
            key = _content(tensor)
            if key not in stored:
                stored[key] = f"weight-{len(stored)}"
                kept = graph.initializer.add()
                kept.CopyFrom(tensor)
                kept.name = stored[key]
            renamed[tensor.name] = stored[key]
        for node in proto.graph.node:
            graph.node.add().CopyFrom(node)
            _rename(graph.node[-1], name, renamed)
            graph.node[-1].name = f"{name}/{len(graph.node)}"
        for output in proto.graph.output:
            graph.output.add().CopyFrom(output)
            graph.output[-1].name = f"{name}/{output.name}"
    return merged


def route_alone(data: bytes, name: str) -> bytes:
    """The file of one route with the names of outputs that other models have.

    Args:
        data: content of a file with stitches.
        name: of the route.
    """
    import onnx

    proto = onnx.ModelProto.FromString(cut(memoryview(data), f"{name}/"))
    plain = {output.name: output.name.removeprefix(f"{name}/") for output in proto.graph.output}
    for output in proto.graph.output:
        output.name = plain[output.name]
    for node in proto.graph.node:
        for names in (node.input, node.output):
            names[:] = [plain.get(each, each) for each in names]
    return bytes(proto.SerializeToString(deterministic=True))


def _ends(proto: Any) -> tuple[list[str], list[str]]:
    return [each.name for each in proto.graph.output], [each.name for each in proto.graph.input]


def _content(tensor: Any) -> tuple[Any, ...]:
    """Type, shape and bytes of a tensor: the same for the same weights, whatever their names."""
    from onnx import numpy_helper

    array = numpy_helper.to_array(tensor)
    return str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).digest()


def _rename(node: Any, name: str, renamed: Mapping[str, str]) -> None:
    """Name what a node reads and writes, and the nodes of its branches, by their route."""
    for names in (node.input, node.output):
        names[:] = [renamed.get(each, f"{name}/{each}") for each in names]
    for attribute in node.attribute:
        if attribute.HasField("g"):
            for inner in attribute.g.node:
                _rename(inner, name, renamed)
            for output in attribute.g.output:
                output.name = renamed.get(output.name, f"{name}/{output.name}")
