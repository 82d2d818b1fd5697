"""Read the data of a pickle without running it.

Published ground truth comes as pickles, and a pickle is a program: unpickling a file from the web
lets its author run any code. Here nothing that a file names is imported or called. The standard
library's disassembler decodes the opcodes without executing them, and a small machine carries out
those for lists, tuples, dicts, numbers, strings and bytes, and rebuilds numpy arrays, scalars and
dtypes itself. It avoids numpy's own ``__setstate__`` too: with a crafted dtype, that can be made to
read memory outside the array.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable
from enum import Enum
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.errors import EvaluationError

MAX_BYTES = 16 << 20
"""Larger files are refused. A byte can cost about 60 bytes of memory: a list is one opcode."""


class _Named(Enum):
    """Names that a file may use; enum members, so that no string of the file equals them."""

    ARRAY = "an empty array, to be filled"
    BUFFER = "an array from its bytes"
    SCALAR = "a scalar from its bytes"
    DTYPE = "a dtype"
    NDARRAY = "the array class"
    ENCODE = "bytes written as text, by protocols up to 2"
    BYTES = "empty bytes, by protocols up to 2"


_KNOWN = {
    ("numpy", "ndarray"): _Named.NDARRAY,
    ("numpy", "dtype"): _Named.DTYPE,
    ("_codecs", "encode"): _Named.ENCODE,
    ("builtins", "bytes"): _Named.BYTES,
    ("__builtin__", "bytes"): _Named.BYTES,
}
for _core in ("numpy.core", "numpy._core"):
    _KNOWN[f"{_core}.multiarray", "_reconstruct"] = _Named.ARRAY
    _KNOWN[f"{_core}.multiarray", "scalar"] = _Named.SCALAR
    _KNOWN[f"{_core}.numeric", "_frombuffer"] = _Named.BUFFER

_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})
_INTEGERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"}
_FLOATS = {"FLOAT", "BINFLOAT"}
_TEXTS = {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
_PYTHON2_STRINGS = {"STRING", "BINSTRING", "SHORT_BINSTRING"}
_BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
_LITERALS = _INTEGERS | _FLOATS | _TEXTS | _PYTHON2_STRINGS | _BYTES
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_DTYPE_CODE = re.compile(r"[biufcSU]\d{1,9}|O8?")


class _Unbuilt:
    """An array or dtype whose state is still to come, and its keys in the memo."""

    __slots__ = ("dtype", "memo_keys")

    def __init__(self, dtype: np.dtype[Any] | None = None) -> None:
        self.dtype = dtype  # None for an array
        self.memo_keys: list[int] = []


class _RefusedError(Exception):
    """The file holds something other than plain data; the text says what.

    No text shows the content of a container: nested shared lists can print as exponentially many.
    """


def read_plain_pickle(data: bytes, source: str) -> Any:
    """Read the plain value of a pickle of protocol 0 to 5, written by Python 2 or 3.

    Args:
        data: content of the file.
        source: the file, as errors should name it, such as its path.

    Returns:
        Lists, tuples, dicts with strings as keys, numbers, strings, bytes, None, and numpy arrays
        (read-only) of numbers, booleans, strings or any of these. Python 2 strings are read as
        Latin-1.

    Raises:
        EvaluationError: the file is too large, damaged, or holds anything else.
    """
    if len(data) > MAX_BYTES:
        raise EvaluationError(
            f"{source} has {len(data)} bytes, more than the {MAX_BYTES} that glocal reads; check it"
        )
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            machine.step(opcode.name, argument)
        (value,) = machine.stack
    except _RefusedError as error:
        raise EvaluationError(
            f"{source} is refused: it holds {error}, where only lists, dicts, numbers, strings and "
            "numpy arrays belong; nothing in it was run. Get the file from its publisher"
        ) from error
    except (ValueError, TypeError, LookupError, OverflowError, AttributeError) as error:
        raise EvaluationError(f"{source} is not a complete pickle: {error}") from error
    return value


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._below: list[list[Any]] = []  # stacks below each open mark
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            self.stack.append(tuple(self._take(_TUPLES[name])))
        elif name not in _IGNORED:
            handler = _HANDLERS.get(name)
            if handler is None:
                raise _RefusedError(f"the operation {name}")
            handler(self, argument)

    def _take(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise ValueError("it takes more values than it made")
        start = len(self.stack) - count
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def _take_to_mark(self) -> list[Any]:
        taken, self.stack = self.stack, self._below.pop()
        return taken

    # One method for each opcode or pair of them; the disassembler reads the argument.

    def mark(self, _: object) -> None:
        self._below.append(self.stack)
        self.stack = []

    def bytearray8(self, argument: bytearray) -> None:
        self.stack.append(bytes(argument))

    def empty_list(self, _: object) -> None:
        self.stack.append([])

    def empty_dict(self, _: object) -> None:
        self.stack.append({})

    def marked_list(self, _: object) -> None:
        items = self._take_to_mark()
        self.stack.append(items)

    def marked_tuple(self, _: object) -> None:
        items = self._take_to_mark()
        self.stack.append((*items,))

    def marked_dict(self, _: object) -> None:
        items = self._take_to_mark()
        self.stack.append({})
        self._set_items(items)

    def append(self, _: object) -> None:
        self._extend(self._take(1))

    def appends(self, _: object) -> None:
        self._extend(self._take_to_mark())

    def setitem(self, _: object) -> None:
        self._set_items(self._take(2))

    def setitems(self, _: object) -> None:
        self._set_items(self._take_to_mark())

    def put(self, key: int) -> None:
        value = self.stack[-1]
        self._memo[key] = value
        if isinstance(value, _Unbuilt):
            value.memo_keys.append(key)

    def memoize(self, _: object) -> None:
        self.put(len(self._memo))

    def get(self, key: int) -> None:
        self.stack.append(self._memo[key])

    def name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._push_named(module, name)

    def stack_name(self, _: object) -> None:
        module, name = self._take(2)
        self._push_named(module, name)

    def reduce(self, _: object) -> None:
        named, arguments = self._take(2)
        if not isinstance(named, _Named) or type(arguments) is not tuple:
            raise _RefusedError(f"a call of {type(named).__name__}")
        self.stack.append(_made(named, arguments))

    def build(self, _: object) -> None:
        unbuilt, state = self._take(2)
        if not isinstance(unbuilt, _Unbuilt):
            raise _RefusedError(f"a change to the inside of {type(unbuilt).__name__}")
        if unbuilt.dtype is None:
            _, shape, dtype, fortran, raw = state
            built: Any = _array(shape, dtype, "F" if fortran else "C", raw)
        else:
            built = _dtype(unbuilt.dtype, state)
        for key in unbuilt.memo_keys:
            self._memo[key] = built
        self.stack.append(built)

    def _extend(self, items: Any) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError(f"it appends to {type(target).__name__}")
        target.extend(items)

    def _set_items(self, items: Any) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise ValueError("it sets items that are not pairs of a dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # string hashes are salted; integers could be crafted to collide
            if not isinstance(key, str):
                raise _RefusedError(f"a dict with {type(key).__name__} as a key")
            target[key] = value

    def _push_named(self, module: object, name: object) -> None:
        known = isinstance(module, str) and isinstance(name, str)
        named = _KNOWN.get((str(module), str(name))) if known else None
        if named is None:
            raise _RefusedError(f"the name {module}.{name}")
        self.stack.append(named)


_HANDLERS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "BYTEARRAY8": _Machine.bytearray8,
    "EMPTY_LIST": _Machine.empty_list,
    "EMPTY_DICT": _Machine.empty_dict,
    "LIST": _Machine.marked_list,
    "TUPLE": _Machine.marked_tuple,
    "DICT": _Machine.marked_dict,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.setitem,
    "SETITEMS": _Machine.setitems,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stack_name,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}


def _made(named: _Named, arguments: tuple[Any, ...]) -> Any:
    if named is _Named.BYTES and arguments == ():
        return b""
    if named is _Named.ENCODE and len(arguments) == 2 and arguments[1] == "latin1":
        return _raw(arguments[0])
    if named is _Named.DTYPE and isinstance(arguments[0], str):
        if not _DTYPE_CODE.fullmatch(arguments[0]):
            raise _RefusedError(f"an array of the type {arguments[0]!r}")
        return _Unbuilt(np.dtype(arguments[0]))
    if named is _Named.ARRAY and arguments[0] is _Named.NDARRAY:
        return _Unbuilt()
    if named is _Named.BUFFER:
        raw, dtype, shape, order = arguments
        return _array(shape, dtype, order, raw)
    if named is _Named.SCALAR:
        dtype, raw = arguments
        return _array((), dtype, "C", raw).item()
    raise _RefusedError(f"a call that should make {named.value} but has other arguments")


def _raw(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):  # how Python 2 wrote bytes
        return value.encode("latin-1")
    raise ValueError(f"it has {type(value).__name__} where an array's bytes belong")


def _dtype(dtype: np.dtype[Any], state: Any) -> np.dtype[Any]:
    _, order, subarray, names, fields = state[:5]
    if subarray is not None or names is not None or fields is not None:
        raise _RefusedError("an array of records")
    return dtype.newbyteorder(order) if order in ("<", ">") else dtype


def _array(shape: Any, dtype: Any, order: Any, raw: Any) -> NDArray[Any]:
    if not isinstance(dtype, np.dtype) or order not in ("C", "F"):
        raise ValueError("it has an array without a type or an order")
    if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("it has an array whose shape is not a tuple of lengths")
    flat: NDArray[Any]
    if dtype.hasobject:
        if type(raw) is not list:
            raise _RefusedError("an array of objects without a list of them")
        flat = np.empty(len(raw), dtype=np.object_)
        for index, value in enumerate(raw):
            flat[index] = value
        flat.flags.writeable = False
    else:
        flat = np.frombuffer(_raw(raw), dtype=dtype)
    if flat.size != prod(shape):
        raise ValueError(f"it has an array of {flat.size} values that should be {prod(shape)}")
    return flat.reshape(shape, order=order)
