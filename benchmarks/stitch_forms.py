"""Three ways to run one of the encoders that a file of `glocal stitch` holds.

    python benchmarks/stitch_forms.py FILE.onnx

Milliseconds of the processor for an image of the usual size, one thread, the least of some: the one
encoder cut out of the file before ONNX Runtime opens it; the whole file, asked for the outputs of
that encoder alone; and one graph whose nodes lie in branches of `If` behind an optional input, with
the weights outside of the branches. Megabytes are what opening it adds to the process.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from glocal.encoders.onnx import read_card
from glocal.encoders.onnx_file import cut
from glocal.encoders.stitches import stitches_of
from measure import print_table, write_results

OUTPUTS = ("vector", "keypoints", "descriptors", "scores")
REPEATS = 12


def with_branches(data: bytes, names: list[str]) -> bytes:
    """The same encoders as branches, nested in one another, of which an input chooses one."""
    model = onnx.ModelProto.FromString(data)
    graph = model.graph
    nodes = {name: [n for n in graph.node if n.name.startswith(f"{name}/")] for name in names}
    plain = list(OUTPUTS)

    def values(prefix: str) -> list[Any]:
        ranks = (1, 2, 2, 1)
        return [
            helper.make_tensor_value_info(f"{prefix}/{output}", TensorProto.FLOAT, [None] * rank)
            for output, rank in zip(plain, ranks, strict=True)
        ]

    def branch(number: int) -> tuple[list[Any], str]:
        name = names[number]
        if number == len(names) - 1:
            return nodes[name], name
        others, prefix = branch(number + 1)
        made = helper.make_node(
            "If",
            [f"is-{name}"],
            [f"chosen-{number}/{output}" for output in plain],
            then_branch=helper.make_graph(nodes[name], name, [], values(name)),
            else_branch=helper.make_graph(others, f"not-{name}", [], values(prefix)),
        )
        return [made], f"chosen-{number}"

    inner, prefix = branch(0)
    chosen = [
        helper.make_node("Equal", ["stitch", f"number-{n}"], [f"is-{name}"])
        for n, name in enumerate(names[:-1])
    ]
    for number in range(len(names)):
        constant = numpy_helper.from_array(np.array(number, np.int64), f"number-{number}")
        graph.initializer.append(constant)
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.int64), "stitch"))
    graph.input.append(helper.make_tensor_value_info("stitch", TensorProto.INT64, []))
    ends = [helper.make_node("Identity", [f"{prefix}/{each}"], [each]) for each in plain]
    del graph.node[:], graph.output[:]
    graph.node.extend([*chosen, *inner, *ends])
    for output, value in zip(plain, values("x"), strict=True):
        value.name = output
        graph.output.append(value)
    return bytes(model.SerializeToString())


def resident() -> float:
    """Megabytes of this process in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def spent(data: bytes, outputs: list[str], inputs: dict[str, Any]) -> tuple[float, float]:
    """Milliseconds of the processor for an image, and megabytes that the session takes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    before = resident()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    least = float("inf")
    for _ in range(REPEATS):
        began = time.process_time()
        session.run(outputs, inputs)
        least = min(least, 1000 * (time.process_time() - began))
    return least, resident() - before


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="what `glocal stitch` wrote")
    path = parser.parse_args().file
    card = read_card(path)
    if card is None:
        raise SystemExit(f"{path} has no card")
    names = [stitch.name for stitch in stitches_of(card.everything, str(path))]
    data = path.read_bytes()
    branches = with_branches(data, names)
    side = round(card.area**0.5 / card.multiple) * card.multiple
    random = np.random.default_rng(0)
    image = {"image": random.integers(0, 256, (1, side, side, 3), np.uint8)}
    rows = []
    for number, name in enumerate(names):
        own = [f"{name}/{output}" for output in OUTPUTS]
        choice = image | {"stitch": np.array(number, np.int64)}
        alone = spent(cut(memoryview(data), f"{name}/"), own, image)
        whole = spent(data, own, image)
        branch = spent(branches, list(OUTPUTS), choice)
        rows.append((name, *alone, *whole, *branch))
    columns = [f"{form}, {unit}" for form in ("cut out", "whole", "If") for unit in ("ms", "MB")]
    print_table(f"One of {len(names)} encoders in a file", ["", *columns], rows)
    figures = {name: dict(zip(columns, row, strict=True)) for name, *row in rows}
    write_results("stitch_forms", {"forms": figures}, quick=False)


if __name__ == "__main__":
    main()
