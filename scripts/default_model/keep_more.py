"""Make a model give more local features of each image; all else stays as it is.

    python scripts/default_model/keep_more.py MODEL.onnx OUT.onnx --count 400

The model's own local features are cells of a feature map, the most distinctive first; how many of
them are given is a number in its graph. An image of the usual size has 400 cells.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from glocal.encoders.onnx import read_card
from glocal.learn.delivery import replace_card


def keep(model: onnx.ModelProto, old: int, count: int) -> int:
    """Put a number of cells in the place of another; how many constants were changed."""
    nodes = [node for node in model.graph.node if node.op_type in ("Slice", "Min")]
    asked = {name for node in nodes for name in node.input}
    changed = 0
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if tensor.name in asked and value.size == 1 and value.dtype.kind == "i" and value == old:
            made = numpy_helper.from_array(np.full_like(value, count), tensor.name)
            tensor.CopyFrom(made)
            changed += 1
    return changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args()
    card = read_card(options.model)
    if card is None:
        raise SystemExit(f"{options.model} has no card")
    model, local = onnx.load(options.model), card.everything["local"]
    changed = keep(model, local["count"], options.count)
    if not changed:
        raise SystemExit(f"{options.model} gives {local['count']} cells by no number in its graph")
    options.out.write_bytes(model.SerializeToString(deterministic=True))
    replace_card(options.out, card.everything | {"local": local | {"count": options.count}})
    print(f"{options.out}: {changed} numbers changed")


if __name__ == "__main__":
    main()
