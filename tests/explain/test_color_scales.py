"""Colours as people with red-green blindness see them, and in grey."""

from __future__ import annotations

import numpy as np
import pytest

from glocal.explain.color_scales import CONCEPT_COLORS, along_colors, signed_colors, strength_colors

# Linear RGB as seen without red, green and blue cones (Machado et al., 2009, severity 1).
SEEN = {
    "all": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(colors: np.ndarray, seen: str = "all") -> np.ndarray:
    """CIE L*a*b* of sRGB from 0 to 255."""
    linear = ((np.asarray(colors) / 255 + 0.055) / 1.055) ** 2.4
    linear = np.clip(linear @ np.asarray(SEEN[seen]).T, 0, 1)
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = linear @ np.array(matrix).T / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


@pytest.mark.parametrize("seen", SEEN)
def test_more_is_lighter(seen: str) -> None:
    steps = np.linspace(0, 1, 33)
    for colors in (strength_colors(steps), signed_colors(steps), signed_colors(-steps)):
        assert (np.diff(lab(colors, seen)[1:, 0]) > 0.2).all()


@pytest.mark.parametrize("seen", ["all", "protan", "deutan"])
def test_for_and_against_differ_for_those_who_lack_red_or_green(seen: str) -> None:
    steps = np.linspace(0.2, 1, 9)
    gaps = lab(signed_colors(steps), seen) - lab(signed_colors(-steps), seen)
    assert (np.linalg.norm(gaps, axis=1) > 40).all()


@pytest.mark.parametrize("seen", SEEN)
def test_the_colours_of_concepts_differ(seen: str) -> None:
    seen_as = lab(np.array(CONCEPT_COLORS), seen)
    gaps = np.linalg.norm(seen_as[:, None] - seen_as[None], axis=2)
    assert gaps[~np.eye(len(CONCEPT_COLORS), dtype=bool)].min() > 7


def test_values_beyond_the_scale_have_its_ends() -> None:
    assert np.array_equal(strength_colors(np.array([-1.0, 2.0])), strength_colors(np.array([0, 1])))
    assert np.array_equal(signed_colors(np.array([-9.0])), signed_colors(np.array([-1.0])))
    assert along_colors(np.array([0.5])).tolist() == [pytest.approx([255, 255, 255], abs=2)]
