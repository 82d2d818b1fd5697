"""What every store must do: compared, operation by operation, with a slow and obvious one."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy_store import NumpyStore, matches

from glocal.gallery.conditions import (
    AllOf,
    AnyOf,
    Between,
    CameraIn,
    Condition,
    InFolder,
    Near,
    NotThis,
)
from glocal.gallery.records import Attributes, Record
from glocal.gallery.stores.base import Maintained, Store

DIM = 8
ROUNDING = 2e-3  # float16
BYTE_ROUNDING = 1.1 * DIM**0.5 / 254
"""Half a step of the greatest number, at most 1, in each number; and a tenth for the new length."""


def unit(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


def number(i: int) -> UUID:
    return UUID(int=i + 1)


folders = st.lists(st.integers(0, 6), max_size=4, unique=True).map(lambda f: tuple(sorted(f)))
attributes = st.builds(
    Attributes,
    folders=folders,
    width=st.integers(1, 50),
    height=st.integers(1, 50),
    bytes=st.integers(0, 2**40),
    taken=st.none() | st.integers(-(10**9), 2 * 10**9),
    camera=st.none() | st.sampled_from(["Canon EOS", "Nikon", "日本", 'a "quoted" one']),
    place=st.none()
    | st.tuples(st.floats(-80, 80).map(lambda x: round(x, 3)), st.floats(-179, 179)),
)
records = st.builds(
    lambda i, seed, a: Record(number(i), unit(seed), a),
    st.integers(0, 30),
    st.integers(0, 1000),
    attributes,
)
leaves = st.one_of(
    st.builds(InFolder, folders),
    st.builds(CameraIn, st.lists(st.sampled_from(["Canon EOS", "Nikon", "x"])).map(tuple)),
    st.builds(
        Between,
        st.sampled_from(["taken", "width", "height", "bytes"]),
        st.none() | st.integers(-100, 60),
        st.none() | st.integers(-100, 10**9),
    ),
    st.builds(Near, st.floats(-80, 80), st.floats(-179, 179), st.floats(1, 19_000)),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(NotThis, inner),
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("upsert"), st.lists(records, max_size=12, unique_by=lambda r: r.id)),
        st.tuples(st.just("delete"), st.lists(st.integers(0, 40).map(number), max_size=5)),
        st.tuples(
            st.just("set_folders"),
            st.dictionaries(st.integers(0, 40).map(number), folders, max_size=5),
        ),
        st.tuples(st.just("rewrite"), st.none()),
    ),
    max_size=12,
)


def near_the_edge(where: Condition, attributes: Attributes) -> bool:
    """Whether a place lies so near a circle that two ways to compute may differ."""
    match where:
        case Near(latitude, longitude, km):
            wide, narrow = (
                Near(latitude, longitude, km * 1.01),
                Near(latitude, longitude, km * 0.99),
            )
            return matches(wide, attributes) != matches(narrow, attributes)
        case AllOf(parts) | AnyOf(parts):
            return any(near_the_edge(part, attributes) for part in parts)
        case NotThis(part):
            return near_the_edge(part, attributes)
        case _:
            return False


def agrees_with_the_obvious_one(
    store: Store,
    operations: list[tuple[str, object]],
    wheres: list[Condition],
    seed: int,
    rounding: float = ROUNDING,
) -> None:
    store.delete([i for i, _ in store.scan()])
    obvious = NumpyStore()
    for name, argument in operations:
        if argument is None:
            if isinstance(store, Maintained):
                store.rewrite()
        else:
            getattr(store, name)(argument)
            getattr(obvious, name)(argument)
    assert store.status().vectors == len(obvious.records)
    assert dict(store.scan()) == dict(obvious.scan())
    everything = [number(i) for i in range(45)]
    stored, expected = store.vectors(everything), obvious.vectors(everything)
    assert set(stored) == set(expected)
    for i, vector in stored.items():
        assert vector == pytest.approx(expected[i], abs=rounding)
    for where in (None, *wheres):
        doubtful = {
            r.id
            for r in obvious.records.values()
            if where is not None and near_the_edge(where, r.attributes)
        }
        for exact in (False, True):
            found = store.search(unit(seed), 45, where=where, exact=exact)
            right = {m.id: m.score for m in obvious.search(unit(seed), 45, where=where)}
            assert {m.id for m in found} - doubtful == set(right) - doubtful
            scores = [m.score for m in found]
            assert scores == sorted(scores, reverse=True)
            for m in found:
                if m.id in right:
                    assert m.score == pytest.approx(right[m.id], abs=rounding)
        assert len(store.search(unit(seed), 3, where=where)) == min(
            3, len(store.search(unit(seed), 45, where=where))
        )


def many(count: int, start: int = 0) -> list[Record]:
    return [
        Record(number(i), unit(i), Attributes((1, 1 + i % 5), 10, 10, i, taken=i))
        for i in range(start, start + count)
    ]
