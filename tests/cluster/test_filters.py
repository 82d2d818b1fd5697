"""Expressions for Milvus, evaluated here: they read as Python does."""

from __future__ import annotations

from uuid import UUID

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy_store import matches
from store_contract import attributes, conditions, near_the_edge

from glocal.cluster.filters import UNKNOWN, camera_key, translated
from glocal.cluster.store import _attributes, _row
from glocal.gallery.conditions import AllOf, AnyOf, Between, CameraIn, Condition, InFolder, Near
from glocal.gallery.conditions import NotThis as Not
from glocal.gallery.records import Attributes, Record


def row(image: Attributes) -> dict[str, object]:
    return _row(Record(UUID(int=1), np.zeros(2, np.float32), image))


def passes(condition: Condition, image: Attributes) -> bool:
    filtered = translated(condition)
    if filtered.nothing:
        return False
    if not filtered.expression:
        return True
    names = row(image) | {"array_contains_any": lambda have, some: bool({*have} & {*some})}
    return bool(eval(filtered.expression, {}, names))  # noqa: S307 - of our own making


@settings(max_examples=40)
@given(conditions, st.lists(attributes, min_size=1, max_size=6))
def test_an_expression_lets_pass_what_meets_and_nothing_else_where_it_is_exact(
    condition: Condition, images: list[Attributes]
) -> None:
    for image in images:
        if near_the_edge(condition, image):
            continue
        if matches(condition, image):
            assert passes(condition, image)
        elif translated(condition).exact:
            assert not passes(condition, image)


@settings(max_examples=40)
@given(
    st.floats(-90, 90),
    st.floats(-180, 180),
    st.floats(1, 20_000),
    st.lists(attributes, max_size=6),
)
def test_the_box_around_a_circle_holds_all_of_it(
    latitude: float, longitude: float, km: float, images: list[Attributes]
) -> None:
    near = Near(latitude, longitude, km)
    for image in images:
        if matches(near, image):
            assert passes(near, image)
    assert not passes(near, Attributes((), 1, 1, 1))


def test_a_small_circle_lets_few_others_pass() -> None:
    near = Near(48.0, 179.9, 100.0)
    assert passes(near, Attributes((), 1, 1, 1, place=(48.0, -179.9)))
    assert not passes(near, Attributes((), 1, 1, 1, place=(48.0, 170.0)))
    assert not passes(near, Attributes((), 1, 1, 1, place=(50.0, 179.9)))


def test_what_is_always_so_is_no_expression() -> None:
    assert translated(None).expression == ""
    assert translated(AllOf(())).expression == ""
    assert not translated(AllOf(())).nothing
    for impossible in (AnyOf(()), InFolder(()), CameraIn(()), Between("width", 5, 5)):
        assert translated(impossible).nothing
        assert not translated(Not(impossible)).nothing
    assert translated(Between("taken", None, None)).expression.startswith(f"taken >= {UNKNOWN + 1}")


@settings(max_examples=20)
@given(attributes)
def test_attributes_come_back_as_they_were(image: Attributes) -> None:
    assert _attributes(row(image)) == image


def test_a_long_camera_is_cut_where_a_letter_ends() -> None:
    assert camera_key("日" * 1000) == "日" * 341
    assert camera_key(None) == ""
