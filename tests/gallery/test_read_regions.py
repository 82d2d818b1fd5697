"""Regions of images that were read from their files and are kept for the next search."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest

from glocal.encoders import LocalFeatures
from glocal.gallery.read_regions import ReadRegion, ReadRegions

WHOLE = (0.0, 0.0, 1.0, 1.0)


def region(size: int) -> ReadRegion:
    none = np.empty((0, 2), np.float32)
    local = LocalFeatures(none, np.empty((0, 64), np.float32), np.empty(0, np.float32))
    return ReadRegion(np.zeros(0, np.float32), local, np.zeros((size, 1), np.uint8), (1, size))


def key(number: int) -> tuple[str, UUID, tuple[float, float, float, float]]:
    return "own", UUID(int=number), WHOLE


def no_reading() -> ReadRegion:
    pytest.fail("it is known")


def test_the_regions_that_were_not_asked_for_longest_go_first() -> None:
    known = ReadRegions(most_bytes=30)
    first, second, third = (region(10) for _ in range(3))
    for number, each in enumerate((first, second, third)):
        assert known.get(key(number), lambda each=each: each) is each
    assert known.get(key(0), no_reading) is first
    known.get(key(3), lambda: region(10))  # one too many
    assert known.get(key(0), no_reading) is first
    assert known.get(key(2), no_reading) is third
    again = region(10)
    assert known.get(key(1), lambda: again) is again


def test_a_region_larger_than_the_budget_is_given_and_not_kept() -> None:
    known = ReadRegions(most_bytes=30)
    assert known.get(key(0), lambda: region(31)) is not None
    small = region(1)
    assert known.get(key(0), lambda: small) is small


def test_what_could_not_be_read_is_tried_again() -> None:
    known = ReadRegions()
    assert known.get(key(0), lambda: None) is None
    found = region(1)
    assert known.get(key(0), lambda: found) is found
