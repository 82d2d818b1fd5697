"""The default model on ONNX Runtime and on OpenVINO: processor time of an image, agreement.

    pip install openvino
    python benchmarks/runtimes.py [--quick]

Both run the model and its twin in int8 on one thread, by turns, on photos of Grocery's test part at
the model's own size. OpenVINO may compute in float or in bfloat16 where a file is in float. The
cosine is that of vectors to those of the model in float on ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from default_model import DATA, grocery_split
from glocal.encoders import load_encoder
from glocal.encoders.fit import fit
from glocal.encoders.onnx import open_session
from glocal.encoders.precision import find_twin
from glocal.images import load
from measure import arguments, median, print_table, write_results

OUTPUTS = ["vector", "keypoints", "descriptors", "scores"]
Run = Callable[[Any], Any]


def on_onnx_runtime(file: Path) -> Run:
    session = open_session(file, 1)
    return lambda image: session.run(OUTPUTS, {"image": image})[0]


def on_openvino(file: Path, precision: str) -> Run:
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": precision,
    }
    request = openvino.compile_model(file, "CPU", settings).create_infer_request()
    return lambda image: request.infer({"image": image})["vector"]


def main() -> None:
    given = arguments(__doc__).parse_args()
    encoder = load_encoder(precision="float")
    twin = find_twin(encoder.path, encoder.card)
    if twin is None:
        raise SystemExit(f"{encoder.path} has no twin in int8")
    paths = grocery_split(DATA / "grocery", "test")[0]
    photos = [
        fit(load(path, min_pixels=encoder.card.area).array, encoder.card)
        for path in paths[:: 600 if given.quick else 30]
    ]
    runs = {
        "ONNX Runtime, float": on_onnx_runtime(encoder.path),
        "ONNX Runtime, int8": on_onnx_runtime(twin.path),
        "OpenVINO, float": on_openvino(encoder.path, "f32"),
        "OpenVINO, float file in bfloat16": on_openvino(encoder.path, "bf16"),
        "OpenVINO, int8": on_openvino(twin.path, "f32"),
        "OpenVINO, int8 and bfloat16": on_openvino(twin.path, "bf16"),
    }
    vectors: dict[str, list[Any]] = {name: [] for name in runs}
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for photo in photos:
        for name, run in runs.items():
            run(photo)  # another shape than before is planned anew, for which a photo comes twice
            began = process_time()
            vectors[name].append(np.ravel(run(photo)).copy())
            spent[name].append(1000 * (process_time() - began))
    first = np.stack(vectors["ONNX Runtime, float"])
    rows = []
    for name in runs:
        cosines = (np.stack(vectors[name]) * first).sum(axis=1)
        rows.append((name, median(spent[name]), float(np.median(cosines)), float(cosines.min())))
    print_table(
        f"{len(photos)} photos, one thread",
        ["runtime, file", "ms of the processor", "cosine, median", "least"],
        [(name, f"{ms:.1f}", f"{middle:.4f}", f"{least:.4f}") for name, ms, middle, least in rows],
    )
    write_results("runtimes", {"rows": rows}, quick=given.quick)


if __name__ == "__main__":
    main()
