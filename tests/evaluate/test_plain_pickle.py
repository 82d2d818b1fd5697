"""Pickles are read as data: plain values are restored, and nothing is ever run."""

from __future__ import annotations

import os
import pickle
import struct
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import EvaluationError
from glocal.evaluate import plain_pickle
from glocal.evaluate.plain_pickle import read_plain_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8)
)
plain = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(plain, st.sampled_from(PROTOCOLS))
def test_plain_values_are_read_back(value, protocol):
    assert read_plain_pickle(pickle.dumps(value, protocol=protocol), "it") == value


ARRAYS = [
    np.array([3, 1, 2]),
    np.array([], dtype=np.int64),
    np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8),
    np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    np.array([1, 2], dtype=">i4"),
    np.array([True, False]),
    np.array(["all_souls_000013", "b"]),
    np.array([b"ab", b"c"]),
    np.array(5.5),
    np.array(["a", [1, 2], 3], dtype=object),
    np.zeros((0, 4)),
    np.array([1.5 + 2j]),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_are_read_back(array, protocol):
    # twice in one file: the second is a reference to the first one's memo
    once, again = read_plain_pickle(pickle.dumps([array, array], protocol=protocol), "it")
    assert once.dtype == array.dtype
    assert once.tolist() == array.tolist()
    assert once.shape == array.shape
    assert again is once
    assert not once.flags.writeable or once.size == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpy_scalars_are_read_as_python_numbers(protocol):
    values = [np.int64(4), np.float32(0.5), np.bool_(True), np.str_("x")]
    back = read_plain_pickle(pickle.dumps(values, protocol=protocol), "it")
    assert back == [4, 0.5, True, "x"]
    assert [type(value) for value in back] == [int, float, bool, str]


def test_pickles_of_python_2_and_an_old_numpy_are_read():
    # {'easy': array([1, 258])}, protocol 2, as Python 2 wrote it: strings are bytes without a type
    raw = struct.pack("<2q", 1, 258)
    data = (
        b"\x80\x02}q\x00U\x04easyq\x01"
        b"cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04U\x01bq\x05"
        b"\x87q\x06Rq\x07(K\x01K\x02\x85q\x08cnumpy\ndtype\nq\tU\x02i8q\nK\x00K\x01\x87q\x0bRq\x0c"
        b"(K\x03U\x01<q\rNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0ebK\x00"
        + b"U"
        + bytes([len(raw)])
        + raw
        + b"q\x0ftq\x10bs."
    )
    assert pickle.loads(data, encoding="latin1")["easy"].tolist() == [1, 258]  # noqa: S301
    assert read_plain_pickle(data, "it")["easy"].tolist() == [1, 258]


class Runs:
    """Its unpickling calls a function with arguments: the textbook attack."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("function", [os.system, os.mkdir, eval, exec, __import__, getattr, print])
def test_a_call_in_a_pickle_is_refused_and_not_made(function, protocol, tmp_path):
    proof = tmp_path / "proof"
    attack = {
        os.system: f"touch {proof}",
        os.mkdir: str(proof),
        eval: f"open({str(proof)!r}, 'w')",
        exec: f"open({str(proof)!r}, 'w')",
    }.get(function, "os")
    data = pickle.dumps({"imlist": ["a"], "gnd": Runs(function, attack)}, protocol=protocol)
    with pytest.raises(EvaluationError, match="nothing in it was run"):
        read_plain_pickle(data, "the file")
    assert not proof.exists()
    # the same bytes do run in the standard library, so the test above tests something
    if function is os.mkdir:
        pickle.loads(data)  # noqa: S301
        assert proof.exists()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        frozenset([1]),
        OrderedDict(a=1),
        Fraction(1, 3),
        np.random.default_rng(0),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.dtype("V8"),
        np.ma.masked_array([1, 2]),
        np.matrix,
        {3: "an integer as a key"},
        complex(1, 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_but_plain_data_is_refused(value, protocol):
    with pytest.raises(EvaluationError, match="is refused"):
        read_plain_pickle(pickle.dumps(value, protocol=protocol), "the file")


def named(module, name):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


# A dtype of pointers whose flags hide that they are: numpy would follow bytes of the file.
POINTERS = (
    named("numpy.core.multiarray", "_reconstruct")
    + named("numpy", "ndarray")
    + b"K\x00\x85C\x01b\x87R(K\x01K\x01\x85"
    + named("numpy", "dtype")
    + b"X\x02\x00\x00\x00V8K\x00K\x01\x87R(K\x03X\x01\x00\x00\x00|NX\x01\x00\x00\x00a\x85}tb"
    + b"K\x00C\x08AAAAAAAAtb."
)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(named("os", "system") + b".", id="a name alone"),
        pytest.param(b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93.", id="a name off the stack"),
        pytest.param(b"]]\x93.", id="names that are lists"),
        pytest.param(b"(X\x01\x00\x00\x00ai__main__\nRuns\n.", id="INST"),
        pytest.param(b"(" + named("numpy", "ndarray") + b"K\x05o.", id="OBJ"),
        pytest.param(named("numpy", "ndarray") + b"K\x05\x85\x81.", id="NEWOBJ"),
        pytest.param(named("numpy", "ndarray") + b"K\x05\x85R.", id="an array made directly"),
        pytest.param(named("_codecs", "encode") + b"X\x01\x00\x00\x00aX\x03\x00\x00\x00bz2\x86R.",
                     id="another codec"),
        pytest.param(named("builtins", "bytes") + b"J\xff\xff\xff\x7f\x85R.", id="2 GB of zeros"),
        pytest.param(b"X\x01\x00\x00\x00aK\x01\x85R.", id="calling a string"),
        pytest.param(b"]}b.", id="BUILD on a list"),
        pytest.param(named("numpy", "dtype") + b"}b.", id="BUILD on a name"),
        pytest.param(b"Pname\n.", id="PERSID"),
        pytest.param(b"X\x01\x00\x00\x00aQ.", id="BINPERSID"),
        pytest.param(b"\x82\x01.", id="EXT1"),
        pytest.param(b"\x97.", id="NEXT_BUFFER"),
        pytest.param(POINTERS, id="a dtype of hidden pointers"),
    ],
)  # fmt: skip
def test_crafted_opcodes_are_refused(data):
    with pytest.raises(EvaluationError, match="is refused"):
        read_plain_pickle(data, "the file")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"]", id="no end"),
        pytest.param(b".", id="no value"),
        pytest.param(b"]].", id="two values"),
        pytest.param(b"K\x01a.", id="append to nothing"),
        pytest.param(b"K\x01K\x02a.", id="append to a number"),
        pytest.param(b"]K\x01s.", id="set in a list"),
        pytest.param(b"}(K\x01u.", id="half a pair"),
        pytest.param(b"(", id="an open mark"),
        pytest.param(b"t.", id="no mark"),
        pytest.param(b"h\x05.", id="no such memo"),
        pytest.param(b"q\x05.", id="nothing to memoize"),
        pytest.param(b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", id="more bytes than the file"),
        pytest.param(b"\xff\xd8\xff\xe0 a photograph", id="another kind of file"),
        pytest.param(b"I" + b"9" * 5000 + b"\n.", id="an endless number"),
    ],
)
def test_a_damaged_file_raises_an_evaluation_error(data):
    with pytest.raises(EvaluationError, match="not a complete pickle"):
        read_plain_pickle(data, "the file")


@pytest.mark.parametrize("shape", [(-1,), (2,), (1, 1, 2), (2**40, 0), (2**62, 2**62), [3], 3])
def test_an_array_with_a_false_shape_is_refused(shape):
    data = pickle.dumps(np.array([1, 2, 3], dtype=np.uint8), protocol=2)
    lying = data.replace(b"K\x01K\x03\x85", b"K\x01" + pickle.dumps(shape, protocol=2)[2:-1])
    assert lying != data
    with pytest.raises(EvaluationError, match="not a complete pickle"):
        read_plain_pickle(lying, "the file")


# Python itself warns of escapes in damaged text; to whoever asked for that, it says so.
@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@settings(deadline=None, max_examples=300)
@given(st.data())
def test_any_damage_raises_an_evaluation_error_or_gives_plain_data(data):
    original = pickle.dumps(
        {"imlist": ["a", "b"], "gnd": [{"easy": np.array([1, 0]), "bbx": [0.5, 1, 2, 3]}]},
        protocol=data.draw(st.sampled_from(PROTOCOLS)),
    )
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    message = "the file was plain data still"
    try:
        read_plain_pickle(bytes(damaged), "the file")
    except EvaluationError as error:
        message = str(error)
    assert message.startswith("the file")


def test_errors_about_nested_shared_lists_stay_short():
    bomb = []
    for _ in range(60):
        bomb = [bomb, bomb]
    back = read_plain_pickle(pickle.dumps(bomb), "it")
    assert len(back) == 2
    with pytest.raises(EvaluationError):
        read_plain_pickle(pickle.dumps(bomb)[:-1] + b"}b.", "it")


def test_a_file_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr(plain_pickle, "MAX_BYTES", 10)
    with pytest.raises(EvaluationError, match="more than the 10"):
        read_plain_pickle(pickle.dumps("long enough"), "the file")
