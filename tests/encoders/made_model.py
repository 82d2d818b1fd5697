"""A complete glocal model of a few kilobytes, whose vector depends on the mean colours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DIM = 16
LOCAL_DIM = 3
FOUR = ["vector", "keypoints", "descriptors", "scores"]
OLD_FOUR = ["vector", "keypoints", "descriptors", "strengths"]
FIVE = [*FOUR, "contributions"]


def card(**changes: Any) -> dict[str, Any]:
    """A valid card, with some fields changed."""
    size = {"area": 64 * 64, "multiple": 32, "max_aspect": 4.0}
    return {"name": "tiny", "version": 1, "licence": "CC0-1.0", "dim": DIM, "input": size} | changes


def write_model(
    path: Path, *, seed: int = 0, text: str | None = None, outputs: list[str] | None = None
) -> Path:
    """Write the model; another seed gives vectors of another space."""
    weights = np.random.default_rng(seed).normal(size=(LOCAL_DIM, DIM)).astype(np.float32)
    bias = np.random.default_rng(seed + 1).normal(size=DIM).astype(np.float32) * 0.01
    constants = {
        "scale": np.float32(1 / 255),
        "weights": weights,
        "bias": bias,
        "flat": np.array([-1, LOCAL_DIM], np.int64),
        "whole": np.array([-1], np.int64),
        "four": np.array([4, 2], np.int64),
        "eps": np.float32(1e-6),
        "half": np.full((4, 2), 0.5, np.float32),
        "rows": np.array([0], np.int64),
        "until": np.array([4], np.int64),
        "one": np.array([1], np.int64),
        "three": np.array([3], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "scale"], ["unit"]),
        helper.make_node("Reshape", ["unit", "flat"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "weights"], ["projected"]),
        helper.make_node("Sin", ["projected"], ["waves"]),
        helper.make_node("ReduceMean", ["waves"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Add", ["mean", "bias"], ["biased"]),
        helper.make_node("LpNormalization", ["biased"], ["long"], axis=1, p=2),
        helper.make_node("Reshape", ["long", "whole"], ["vector"]),
        helper.make_node("Identity", ["half"], ["keypoints"]),
        helper.make_node("Slice", ["pixels", "rows", "until"], ["first"]),
        helper.make_node("Add", ["first", "eps"], ["positive"]),
        helper.make_node("LpNormalization", ["positive"], ["descriptors"], axis=1, p=2),
        helper.make_node("ReduceMean", ["positive"], ["scores"], axes=[1], keepdims=0),
        helper.make_node("Identity", ["scores"], ["strengths"]),
        helper.make_node("ReduceL2", ["biased"], ["length"], axes=[1], keepdims=1),
        helper.make_node("Add", ["waves", "bias"], ["moved"]),  # the mean of these is "biased"
        helper.make_node("Shape", ["waves"], ["shape"]),
        helper.make_node("Slice", ["shape", "rows", "one"], ["rows_of"]),
        helper.make_node("Cast", ["rows_of"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["moved", "count"], ["each"]),
        helper.make_node("Div", ["each", "length"], ["shares"]),
        helper.make_node("Shape", ["image"], ["sides"]),
        helper.make_node("Slice", ["sides", "one", "three"], ["grid"]),
        helper.make_node("Concat", ["grid", "whole"], ["cells"], axis=0),
        helper.make_node("Reshape", ["shares", "cells"], ["contributions"]),
    ]
    shapes: dict[str, list[int | str]] = {
        "vector": [DIM],
        "keypoints": [4, 2],
        "descriptors": [4, LOCAL_DIM],
        "scores": [4],
        "strengths": [4],
        "contributions": ["h", "w", DIM],
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, "H", "W", 3])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name])
            for name in outputs or FOUR
        ],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if text != "":
        helper.set_model_props(model, {"glocal.card": text or json.dumps(card())})
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(path))
    return path
