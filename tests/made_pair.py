"""An image-text pair of a few kilobytes that ONNX Runtime really runs, and knows three colours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 220)}
SIDE = 8
DIM = 4
WORDS = ["[PAD]", "[UNK]", *COLOURS]


def write_photos(folder: Path, each: int) -> Path:
    """Some images of each colour; the red ones lie in a folder of that name, others do not."""
    random = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        inside = folder / ("red" if name == "red" else "others")
        inside.mkdir(parents=True, exist_ok=True)
        for number in range(each):
            noise = random.normal(0, 30, (SIDE, SIDE, 3)) + random.normal(0, 25, 3)
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(inside / f"{number}{name[0]}.png")
    return folder


def write_pair(
    folder: Path, *, combiner: bool = False, tokens: int | str = "tokens", licence: str = "mit"
) -> Path:
    """Write the pair as exporters do; vectors are the mean colour less grey, and a constant.

    Args:
        folder: where to.
        combiner: also write one, which adds the words twice.
        tokens: a fixed length of texts, which are then filled up.
        licence: that its page states.
    """
    folder.mkdir(parents=True, exist_ok=True)
    flat = SIDE * SIDE
    look = np.zeros((3 * flat, DIM), np.float32)
    for channel in range(3):
        look[channel * flat : (channel + 1) * flat, channel] = 1 / flat
    look[:, :3] -= 1 / (3 * flat)
    constants = {
        "look": look,
        "shape": np.array([1, 3 * flat], np.int64),
        "bias": np.array([0, 0, 0, 0.05], np.float32),
    }
    nodes = [
        helper.make_node("Reshape", ["pixel_values", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "look"], ["seen"]),
        helper.make_node("Add", ["seen", "bias"], ["image_embeds"]),
    ]
    _write(
        folder / "vision_model.onnx",
        nodes,
        constants,
        {"pixel_values": (TensorProto.FLOAT, [1, 3, SIDE, SIDE])},
        "image_embeds",
    )
    table = np.zeros((len(WORDS), DIM), np.float32)
    for number, colour in enumerate(COLOURS.values(), start=2):
        table[number, :3] = (np.array(colour) - np.mean(colour)) / 255
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["found"]),
        helper.make_node("ReduceSum", ["found", "axis"], ["sums"], keepdims=0),
        helper.make_node("Add", ["sums", "bias"], ["text_embeds"]),
    ]
    _write(
        folder / "text_model.onnx",
        nodes,
        {"table": table, "axis": np.array([1], np.int64), "bias": constants["bias"]},
        {"input_ids": (TensorProto.INT64, [1, tokens])},
        "text_embeds",
    )
    if combiner:
        nodes = [
            helper.make_node("Add", ["image", "text"], ["once"]),
            helper.make_node("Add", ["once", "text"], ["query"]),
        ]
        rows = (TensorProto.FLOAT, ["b", DIM])
        _write(folder / "combiner.onnx", nodes, {}, {"image": rows, "text": rows}, "query")
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }
    settings = {"size": {"height": SIDE, "width": SIDE}, "do_normalize": False, "resample": 2}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "[PAD]"}))
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n")
    return folder


def _write(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    inputs: dict[str, tuple[int, list[int | str]]],
    output: str,
) -> None:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["b", DIM])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
