"""Bring a model file of an earlier glocal up to date; weights and vectors stay as they are.

    python scripts/update_model_file.py OLD.onnx NEW.onnx --space NAME

The output ``strengths`` is renamed to ``scores``, ``contributions`` is computed only when it is
asked for, and the card names the vector space. Version 2 of the bundled model was made by this from
the file that `scripts/train_default_model.py` wrote, with ``--space glocal-lite0-v2``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import onnx

from glocal.encoders.card import METADATA_KEY
from glocal.learn.optional_contributions import WITH_CONTRIBUTIONS, make_contributions_optional


def updated(proto: onnx.ModelProto, space: str) -> onnx.ModelProto:
    """The model in today's form, changed in place."""
    graph = proto.graph
    for node in graph.node:
        node.output[:] = ["scores" if name == "strengths" else name for name in node.output]
        node.input[:] = ["scores" if name == "strengths" else name for name in node.input]
    for output in graph.output:
        output.name = "scores" if output.name == "strengths" else output.name
    if WITH_CONTRIBUTIONS not in [value.name for value in graph.input]:
        make_contributions_optional(proto)
    for entry in proto.metadata_props:
        if entry.key == METADATA_KEY:
            entry.value = json.dumps(json.loads(entry.value) | {"space": space})
    onnx.checker.check_model(proto)
    return proto


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--space", required=True)
    options = parser.parse_args()
    proto = updated(onnx.load(str(options.old)), options.space)
    onnx.save(proto, str(options.new))
    print(f"wrote {options.new}: {options.new.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
