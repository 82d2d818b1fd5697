"""Leave an output out of an ONNX model, so that ONNX Runtime does not compute it.

A session computes all nodes of its model, whichever outputs a call asks for. So what only an
unwanted output needs has to be taken away before the model is loaded. The package that edits
models is not one that glocal needs otherwise, and the change is small: in the protocol buffer
of a model, some entries among the graph's nodes and outputs.
"""

from __future__ import annotations

from collections.abc import Iterator

# Numbers of fields in the messages ModelProto, GraphProto, NodeProto, AttributeProto
_GRAPH = 7
_NODE, _OUTPUT = 1, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_ATTRIBUTE = 1, 2, 5
_SUBGRAPHS = {6, 11}
_NAME = 1  # of an output

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5  # kinds of field

_Field = tuple[int, int, int, int]  # number, start, start of the content, end


def without_output(model: bytes, name: str) -> bytes:
    """The bytes of a model without the output of that name and what only it needs.

    Returns:
        The same bytes if there is no such output, if a node holds a graph of its own (whose needs
        do not show), or if they are no model at all: what is wrong with them is for ONNX Runtime
        to say.
    """
    try:
        graphs = [field for field in _fields(model, 0, len(model)) if field[0] == _GRAPH]
        if len(graphs) != 1:
            return model
        _, start, body, end = graphs[0]
        unwanted = _unwanted(model, list(_fields(model, body, end)), name.encode())
    except (IndexError, ValueError):
        return model
    if not unwanted:
        return model
    kept, at = [], body
    for _, first, _, last in unwanted:
        kept.append(model[at:first])
        at = last
    graph = b"".join([*kept, model[at:end]])
    head = _varint(_GRAPH << 3 | _LENGTH) + _varint(len(graph))
    return b"".join([model[:start], head, graph, model[end:]])


def _unwanted(model: bytes, graph: list[_Field], name: bytes) -> list[_Field]:
    """The fields of a graph that can go when the output of that name does, in their order."""
    outputs = {field: _texts(model, field, _NAME) for field in graph if field[0] == _OUTPUT}
    unwanted = [field for field, names in outputs.items() if names == [name]]
    if not unwanted:
        return []
    needed = {text for field, texts in outputs.items() if field not in unwanted for text in texts}
    for field in reversed(graph):  # nodes come after what they need
        if field[0] != _NODE:
            continue
        if _has_graph(model, field):
            return []
        if needed.isdisjoint(_texts(model, field, _NODE_OUTPUT)):
            unwanted.append(field)
        else:
            needed.update(_texts(model, field, _NODE_INPUT))
    return sorted(unwanted, key=lambda field: field[1])


def _texts(model: bytes, message: _Field, number: int) -> list[bytes]:
    _, _, body, end = message
    return [model[f[2] : f[3]] for f in _fields(model, body, end) if f[0] == number]


def _has_graph(model: bytes, node: _Field) -> bool:
    return any(
        inner[0] in _SUBGRAPHS
        for attribute in _fields(model, node[2], node[3])
        if attribute[0] == _NODE_ATTRIBUTE
        for inner in _fields(model, attribute[2], attribute[3])
    )


def _fields(data: bytes, at: int, end: int) -> Iterator[_Field]:
    while at < end:
        start = at
        tag, at = _read_varint(data, at)
        kind = tag & 7
        body = at
        if kind == _VARINT:
            _, at = _read_varint(data, at)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if kind == _EIGHT_BYTES else 4
        elif kind == _LENGTH:
            length, body = _read_varint(data, at)
            at = body + length
        else:
            raise ValueError(f"no field begins with {tag}")
        if at > end:
            raise ValueError("a field ends behind what holds it")
        yield tag >> 3, start, body, at


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
