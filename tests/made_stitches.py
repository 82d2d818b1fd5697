"""A file that holds several models, put together the slow way: no weight is shared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

NAMES = ("small", "switch-1", "large")
_OLD_NAMES = {"strengths": "scores"}


def listed(names: Sequence[str] = NAMES, **changes: Any) -> list[dict[str, Any]]:
    """What a card says of stitches, from fast to slow."""
    return [
        {"name": name, "macs": 10**8 * (number + 1), "time": 0.5, "agreement": 0.8 + number / 20}
        | changes
        for number, name in enumerate(names)
    ]


def join(paths: Mapping[str, Path], target: Path, stitches: Any, card: Mapping[str, Any]) -> Path:
    """Put models into one file.

    Args:
        paths: of the models by the names of stitches.
        target: file to write.
        stitches: what the card lists.
        card: what else it says.
    """
    joined = onnx.ModelProto()
    for name, path in paths.items():
        own = onnx.load(str(path))
        if not joined.graph.name:
            joined.CopyFrom(own)
            for part in (joined.graph.node, joined.graph.output, joined.graph.initializer):
                del part[:]
            del joined.metadata_props[:]

        made = {each for node in own.graph.node for each in node.output}
        old = {before: now for before, now in _OLD_NAMES.items() if now not in made}

        def named(each: str, name: str = name, old: Mapping[str, str] = old) -> str:
            return each if each == "image" else f"{name}/{old.get(each, each)}"

        for number, node in enumerate(own.graph.node):
            node.name = f"{name}/{number}"
            for names in (node.input, node.output):
                names[:] = [named(each) for each in names]
        for part in (own.graph.output, own.graph.initializer):
            for each in part:
                each.name = named(each.name)
        joined.graph.node.extend(own.graph.node)
        joined.graph.output.extend(own.graph.output)
        joined.graph.initializer.extend(own.graph.initializer)
    everything = {"name": "joined", "space": "one", **card, "stitches": stitches}
    onnx.helper.set_model_props(joined, {"glocal.card": json.dumps(everything)})
    onnx.checker.check_model(joined)
    target.write_bytes(joined.SerializeToString())
    return target
