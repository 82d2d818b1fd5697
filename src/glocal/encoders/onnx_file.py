"""The little of ONNX's file format that glocal reads itself: a model's notes, and one of its parts.

ONNX Runtime computes every node of a graph, whichever outputs are asked for. So a file that holds
several encoders is cut down to one before ONNX Runtime sees it. The package `onnx` would do it too,
but only who makes models needs that. The format is that of protocol buffers: fields, each a number
and a value; the numbers are those of ``onnx.proto``.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_GRAPH, _METADATA = 7, 14  # of a model
_NODE, _OUTPUT = 1, 12  # of a graph
_NODE_NAME, _VALUE_NAME = 3, 1
_KEY, _VALUE = 1, 2  # of an entry of the metadata


def metadata(data: memoryview, key: str) -> str | None:
    """An entry of a model's metadata, or `None` where it has none.

    Args:
        data: content of the file.
        key: of the entry.

    Raises:
        ValueError: the content is not that of a model.
    """
    for number, _, begin, end in _fields(data):
        if number == _METADATA and _text(data[begin:end], _KEY) == key:
            return _text(data[begin:end], _VALUE)
    return None


def cut(data: memoryview, prefix: str) -> bytes:
    """A model with only those nodes and outputs whose names begin with a prefix.

    Weights are kept, used or not: ONNX Runtime drops those that no node needs.

    Args:
        data: content of the file.
        prefix: of the names.

    Raises:
        ValueError: the content is not that of a model, or has no such node or output.
    """
    pieces: list[bytes | memoryview] = []
    for number, start, begin, end in _fields(data):
        if number != _GRAPH:
            pieces.append(data[start:end])
            continue
        kept = _cut_graph(data[begin:end], prefix)
        length = sum(map(len, kept))
        pieces += [_varint(_GRAPH << 3 | _LENGTH), _varint(length), *kept]
    return b"".join(pieces)


def _cut_graph(graph: memoryview, prefix: str) -> list[memoryview]:
    kept, nodes, outputs = [], 0, 0
    for number, start, begin, end in _fields(graph):
        if number in (_NODE, _OUTPUT):
            name = _text(graph[begin:end], _NODE_NAME if number == _NODE else _VALUE_NAME)
            if name is None or not name.startswith(prefix):
                continue
            nodes += number == _NODE
            outputs += number == _OUTPUT
        kept.append(graph[start:end])
    if not (nodes and outputs):
        raise ValueError(f"nothing in it has a name that begins with {prefix!r}")
    return kept


def _text(message: memoryview, wanted: int) -> str | None:
    for number, _, begin, end in _fields(message):
        if number == wanted:
            return bytes(message[begin:end]).decode("utf-8")
    return None


def _fields(message: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Number of each field, where it starts, and where its value begins and ends."""
    at = 0
    while at < len(message):
        start = at
        key, at = _read_varint(message, at)
        kind, length = key & 7, 0
        if kind == _VARINT:
            begin = at
            _, end = _read_varint(message, at)
        elif kind == _LENGTH:
            length, begin = _read_varint(message, at)
            end = begin + length
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            begin, end = at, at + (8 if kind == _EIGHT_BYTES else 4)
        else:
            raise ValueError(f"a field of kind {kind} at byte {start}")
        if end > len(message):
            raise ValueError(f"a field at byte {start} is cut off")
        at = end
        yield key >> 3, start, begin, end


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(f"a number at byte {at} does not end")


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
