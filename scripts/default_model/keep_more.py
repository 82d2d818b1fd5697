"""Make the next version of a model: it gives more local features, and is the same otherwise.

    python scripts/default_model/keep_more.py MODEL.onnx OUT.onnx --count 400
        [--twin MODEL.int8.onnx OUT.int8.onnx] [--bridge MODEL.bridge OUT.bridge]

The model's own local features are cells of a feature map, the most distinctive first; how many of
them are given is a number in its graph. An image of the usual size has 400 cells. Vectors stay the
same to the last bit, so that the new version speaks the old one's space, a bridge into that space
leads into the new one too, and the twin of the new version is that of the old one as well.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from glocal.encoders.hashes import file_sha256
from glocal.encoders.onnx import read_card
from glocal.learn.delivery import replace_card
from glocal.upgrade import load_bridge, save_bridge


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


def write(file: Path, out: Path, count: int) -> dict[str, Any]:
    """Write a model that gives more; the card of the one before."""
    card = read_card(file)
    if card is None:
        raise SystemExit(f"{file} has no card")
    model, local = onnx.load(file), card.everything["local"]
    if not keep(model, local["count"], count):
        raise SystemExit(f"{file} gives {local['count']} cells by no number in its graph")
    out.write_bytes(model.SerializeToString(deterministic=True))
    replace_card(out, card.everything | {"local": local | {"count": count}})
    return card.everything


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--twin", type=Path, nargs=2, metavar=("TWIN", "OUT"))
    parser.add_argument("--bridge", type=Path, nargs=2, metavar=("BRIDGE", "OUT"))
    options = parser.parse_args()
    same = file_sha256(options.model)
    old = write(options.model, options.out, options.count)
    version = old["version"] + 1
    space = f"{old['name']}-v{version}"
    new = {
        "version": version,
        "space": space,
        "speaks": [old["space"], *old.get("speaks", [])],
        "local": old["local"] | {"count": options.count},
    }
    replace_card(options.out, old | new | {"same_network_as": old.get("same_network_as", same)})
    if options.twin:
        given, out = options.twin
        replace_card(out, write(given, out, options.count) | new)
    if options.bridge:
        bridge, card = load_bridge(options.bridge[0])
        save_bridge(
            options.bridge[1],
            bridge,
            old_space=card.old_space,
            new_space=space,
            anchors=card.anchors,
            glocal_version=card.glocal_version,
            measured=card.measured,
        )
    print(f"{options.out}: version {version}, {options.count} local features")


if __name__ == "__main__":
    main()
