"""A model of a few kilobytes that ONNX Runtime really runs: 8x8 pixels, projected to 16 numbers.

Written as protocol buffers by hand, so that the tests need no package that writes ONNX. Another
seed is another model, whose vectors cannot be compared with the first one's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

DIM = 16
SIDE = 8
PARTS = 4
_FLOAT, _UINT8, _INT64 = 1, 2, 7


def write_model(
    path: Path,
    seed: int = 0,
    *,
    regions: bool = True,
    near: float = 0.0,
    bias: float = 1e-3,
    **card: Any,
) -> Path:
    """Write the model of a seed; `card` replaces fields of its card.

    With regions it says what each pixel contributes to the vector. `near`, from 0 to 1, says how
    much it sees of what the model of seed 0 sees. A `bias` of 100 makes all images similar.
    """
    rng = np.random.default_rng(seed)
    flat = SIDE * SIDE * 3
    seen = rng.normal(size=(flat, DIM))
    if near:
        seen = (1 - near) * seen + near * np.random.default_rng(0).normal(size=(flat, DIM))
    matrix = np.linalg.qr(seen)[0].astype(np.float32)
    nodes = [
        _node("Cast", ["image"], ["floats"], _attribute("to", _FLOAT)),
        _node("Reshape", ["floats", "shape"], ["flat"]),
        _node("Sub", ["flat", "grey"], ["centred"]),
        _node("MatMul", ["centred", "matrix"], ["projected"]),
        _node("Add", ["projected", "bias"], ["moved"]),
        _node("LpNormalization", ["moved"], ["vector"], _attribute("axis", 0)),
        _node("Reshape", ["centred", "rows"], ["split"]),
        _node("Add", ["split", "tilt"], ["tilted"]),
        _node("LpNormalization", ["tilted"], ["descriptors"], _attribute("axis", 1)),
        _node("Identity", ["points"], ["keypoints"]),
        _node("Identity", ["forces"], ["strengths"]),
    ]
    if regions:
        nodes += [
            _node("Reshape", ["centred", "pixels"], ["each"]),
            _node("MatMul", ["each", "matrices"], ["moves"]),
            _node("Add", ["moves", "small_bias"], ["moves_all"]),
            _node("ReduceL2", ["moved"], ["length"], _attribute("keepdims", 0)),
            _node("Div", ["moves_all", "length"], ["shares"]),
            _node("Reshape", ["shares", "cells"], ["contributions"]),
        ]
    tensors = {
        "shape": np.array([flat], np.int64),
        "rows": np.array([PARTS, flat // PARTS], np.int64),
        "grey": np.array([127.5], np.float32),
        "matrix": matrix,
        "bias": np.full(DIM, bias, np.float32),
        "tilt": np.full((PARTS, flat // PARTS), 1e-3, np.float32),
        "points": np.array([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]], np.float32),
        "forces": np.array([4, 3, 2, 1], np.float32),
        "pixels": np.array([SIDE * SIDE, 1, 3], np.int64),
        "matrices": matrix.reshape(SIDE * SIDE, 3, DIM),
        "small_bias": np.full(DIM, bias / SIDE**2, np.float32),
        "cells": np.array([SIDE, SIDE, DIM], np.int64),
    }
    outputs = {
        "vector": (DIM,),
        "keypoints": (PARTS, 2),
        "descriptors": (PARTS, flat // PARTS),
        "strengths": (PARTS,),
    }
    if regions:
        outputs["contributions"] = (SIDE, SIDE, DIM)
    graph = b"".join(
        [
            *(_bytes(1, node) for node in nodes),
            _bytes(2, b"tiny"),
            *(_bytes(5, _tensor(name, array)) for name, array in tensors.items()),
            _bytes(11, _value("image", _UINT8, (1, SIDE, SIDE, 3))),
            *(_bytes(12, _value(name, _FLOAT, shape)) for name, shape in outputs.items()),
        ]
    )
    said = {
        "name": f"tiny-{seed}",
        "version": 1,
        "licence": "Apache-2.0",
        "dim": DIM,
        "input": {"area": SIDE * SIDE, "multiple": SIDE, "max_aspect": 1},
    } | card
    entry = _bytes(1, b"glocal.card") + _bytes(2, json.dumps(said).encode())
    path.write_bytes(
        _number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 17)) + _bytes(14, entry)
    )
    return path


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _attribute(name: str, value: int) -> bytes:
    return _bytes(5, _bytes(1, name.encode()) + _number(3, value) + _number(20, 2))


def _node(kind: str, inputs: list[str], outputs: list[str], attribute: bytes = b"") -> bytes:
    names = [_bytes(1, name.encode()) for name in inputs]
    names += [_bytes(2, name.encode()) for name in outputs]
    return b"".join(names) + _bytes(4, kind.encode()) + attribute


def _tensor(name: str, array: np.ndarray) -> bytes:
    kind = _FLOAT if array.dtype == np.float32 else _INT64
    dims = b"".join(_number(1, size) for size in array.shape)
    return dims + _number(2, kind) + _bytes(8, name.encode()) + _bytes(9, array.tobytes())


def _value(name: str, kind: int, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_bytes(1, _number(1, size)) for size in shape)
    tensor = _bytes(1, _number(1, kind) + _bytes(2, dims))
    return _bytes(1, name.encode()) + _bytes(2, tensor)
