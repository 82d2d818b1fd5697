"""The score of whole vectors and regions together."""

from __future__ import annotations

import numpy as np
import pytest

from glocal.ranking.regions import blend, blend_without_regions


def test_it_is_what_its_words_say() -> None:
    whole = np.array([0.8, 0.1], np.float32)
    base = np.array([0.85, 0.1], np.float32)
    similar = np.array([[[0.5, 0.3], [0.2, 0.6]], [[0.2, 0.1], [0.1, 0.7]]], np.float32)
    expected = [0.85 + 0.5 * 0.55, 0.1 + 0.5 * (0.45 + 0.7 - 0.1 - 0.05)]
    assert blend(whole, similar, base, 0.05) == pytest.approx(expected)


def test_an_image_in_which_the_query_is_small_passes_one_that_is_a_little_like_it() -> None:
    whole = np.array([0.4, 0.1], np.float32)
    similar = np.array([[[0.35]], [[0.75]]], np.float32)
    small, other = blend(whole, similar, whole, 0.05)[::-1]
    assert small > other


def test_without_regions_the_whole_vector_stands_in_for_them() -> None:
    whole = np.array([0.6], np.float32)
    as_alike = blend(whole, np.full((1, 3, 4), 0.6, np.float32), whole, 0.05)
    assert blend_without_regions(whole, whole) == pytest.approx(as_alike)
