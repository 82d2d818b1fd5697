"""How long each layer of a model file takes on this machine."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
_RUNS = 12
_WARM = 2
_ACTIVATIONS = ("Clip", "Relu")


def layer_times(model: Any, nodes: Sequence[Any], image: Pixels) -> tuple[dict[str, float], float]:
    """Measure the time of each convolution, with the activation that is computed with it.

    ONNX Runtime's profiler is asked, on one thread. It names what it computes by the tensor that
    comes of it.

    Args:
        model: a ``ModelProto``.
        nodes: convolutions and what lies between them.
        image: ``(1, h, w, 3)``.

    Returns:
        Seconds by the name of the node, medians of some runs, and those of all the graph. Layers
        that the profiler does not name, on a processor whose kernels take other names, are absent.
    """
    import onnxruntime

    after = {node.input[0]: node.output[0] for node in nodes if node.op_type in _ACTIVATIONS}
    with tempfile.TemporaryDirectory(prefix="glocal-times-") as folder:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        for _ in range(_RUNS + _WARM):
            session.run(["vector"], {"image": image})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    found: dict[str, list[float]] = {}
    for event in events:
        name = str(event.get("name", ""))
        if event.get("cat") == "Node" and name.endswith("_kernel_time"):
            plain = name.removesuffix("_kernel_time").removesuffix("_nchwc")
            found.setdefault(plain, []).append(1e-6 * float(event["dur"]))
    times = {name: statistics.median(each[_WARM:]) for name, each in found.items() if each[_WARM:]}
    layers = {}
    for node in nodes:
        if node.op_type == "Conv":
            given = node.output[0]
            for name in (after.get(given, given), given, node.name):
                if name in times:
                    layers[node.name] = times[name]
                    break
    return layers, sum(times.values())


def processor_times(sessions: Sequence[Any], image: Pixels, runs: int = 15) -> list[float]:
    """Median seconds of the processor for a vector, the models taking turns."""
    spent: list[list[float]] = [[] for _ in sessions]
    for number in range(runs + _WARM):
        for session, times in zip(sessions, spent, strict=True):
            before = process_time()
            session.run(["vector"], {"image": image})
            if number >= _WARM:
                times.append(process_time() - before)
    return [statistics.median(times) for times in spent]
