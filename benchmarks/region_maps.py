"""Feature maps of many images at several input sizes, computed once and kept in a folder.

Nothing to run by itself: `regions.py` and `region_settings.py` use it.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import load_encoder
from glocal.encoders.fit import fit
from glocal.images import load
from region_sets import Sets, Split, build

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """What follows the feature map in the model: GeM pooling and half-whitening.

    Attributes:
        power: of GeM.
        weight: ``(d, c)`` of the whitening.
        bias: ``(d,)`` of it.
    """

    power: float
    weight: Rows
    bias: Rows

    def vector(self, means: Rows) -> Rows:
        """Unit vectors ``(n, d)`` from means ``(n, c)`` of the map's power: GeM of each window."""
        pooled = np.maximum(means, 1e-18) ** (1 / self.power)
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        return unit(pooled @ self.weight.T + self.bias)

    def contribution(self, means: Rows, whole: Rows) -> Rows:
        """Unit sums ``(n, d)`` of the exported contributions of the cells of each window.

        Args:
            means: ``(n, c)``, means of the map's power over windows.
            whole: ``(c,)``, the mean over the whole map.
        """
        pooled = whole ** (1 / self.power)
        pieces = means * whole ** (1 / self.power - 1) / np.linalg.norm(pooled)
        return unit(pieces @ self.weight.T + self.bias)


def unit(rows: NDArray[np.floating]) -> Rows:
    """Each row at unit length."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-12), np.float32)


@dataclass(frozen=True)
class Maps:
    """Feature maps, cells of all images one after another.

    Attributes:
        cells: ``(cells, c)`` float16, values at least 0.
        shapes: rows and columns of each image's map.
    """

    cells: NDArray[np.float16]
    shapes: list[tuple[int, int]]
    starts: NDArray[np.intp]

    def __getitem__(self, number: int) -> Rows:
        rows, columns = self.shapes[number]
        start = self.starts[number]
        found = self.cells[start : start + rows * columns].astype(np.float32)
        return found.reshape(rows, columns, -1)


def open_model() -> tuple[Any, Head, Any]:
    """The bundled model with its last feature map as the only output, its head and its card."""
    import onnx
    import onnxruntime
    from onnx import numpy_helper

    encoder = load_encoder()
    proto = onnx.load(encoder.path)
    graph = proto.graph
    means = {n.input[0] for n in graph.node if n.op_type == "ReduceMean"}
    (pooled,) = [n for n in graph.node if n.op_type == "Pow" and n.output[0] in means]
    constants = {value.name: value for value in graph.initializer}
    constants |= {n.output[0]: n.attribute[0].t for n in graph.node if n.op_type == "Constant"}
    power = float(numpy_helper.to_array(constants[pooled.input[1]]))
    arrays = {
        kind: _initial(graph, f"head.whitening.linear.{kind}").astype(np.float32)
        for kind in ("weight", "bias")
    }
    if arrays["weight"].shape[1] != 1280:
        arrays["weight"] = arrays["weight"].T
    del graph.output[:]
    graph.output.append(
        onnx.helper.make_tensor_value_info(pooled.input[0], 1, [1, None, None, None])
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_mem_pattern = False
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session, Head(power, arrays["weight"], arrays["bias"]), encoder.card


def _initial(graph: Any, name: str) -> NDArray[Any]:
    from onnx import numpy_helper

    (found,) = [v for v in graph.initializer if v.name.removesuffix("_half").endswith(name)]
    return numpy_helper.to_array(found)


def sets_of(split: Split, packages: Path, views: Path, work: Path, every: int) -> Sets:
    """The split, made once for a folder."""
    path = work / f"{split}-{every}.pkl"
    if not path.exists():
        path.write_bytes(pickle.dumps(build(split, packages, views, every=every)))
    made: Sets = pickle.loads(path.read_bytes())  # noqa: S301 - written above
    return made


def maps_of(sets: Sets, numbers: list[int], side: int, cache: Path) -> Maps:
    """Maps of images at about ``side`` times ``side`` pixels.

    Args:
        sets: the split.
        numbers: images to encode; the others have maps of 0x0.
        side: of the square with the area of the network's input.
        cache: file that keeps them.
    """
    meta = cache.with_suffix(".pkl")
    if not meta.exists():
        session, _, card = open_model()
        size = replace(card, area=side * side)
        shapes = [(0, 0)] * len(sets.images.sources)
        found = []
        wanted = set(numbers)
        for number, source in enumerate(sets.images.sources):
            if number in wanted:
                image = load(source, min_pixels=side * side).array
                (grid,) = session.run(None, {"image": fit(image, size)})
                shapes[number] = grid.shape[2:]
                found.append(
                    grid[0].transpose(1, 2, 0).reshape(-1, grid.shape[1]).astype(np.float16)
                )
        np.save(cache, np.concatenate(found))
        meta.write_bytes(pickle.dumps(shapes))
    shapes = pickle.loads(meta.read_bytes())  # noqa: S301 - written above
    starts = np.cumsum([0, *(rows * columns for rows, columns in shapes)])[:-1]
    return Maps(np.load(cache, mmap_mode="r"), shapes, starts)
