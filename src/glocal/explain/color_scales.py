"""Colours that people who cannot tell red from green can tell apart, and that print well in grey.

Scales run between a few colours whose lightness rises evenly, so that the order shows without hue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Color = tuple[int, int, int]

INK: Color = (26, 30, 36)
QUIET: Color = (94, 101, 112)
PAPER: Color = (255, 255, 255)
MARK: Color = (255, 214, 10)
SHADE: Color = (0, 0, 0)

# Yellow for what raises a score, blue for what lowers it: they differ for everyone.
_FOR = ((150, 92, 12), (226, 146, 0), (255, 214, 61))
_AGAINST = ((38, 62, 120), (40, 108, 200), (96, 186, 255))
_STRENGTH = ((16, 34, 84), (64, 84, 128), (118, 122, 128), (186, 172, 98), (255, 234, 70))

_ALONG = ((86, 180, 233), (255, 255, 255), (255, 190, 20))

# The eight colours of Okabe and Ito (Color Universal Design, 2008) without black.
CONCEPT_COLORS: tuple[Color, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (0, 114, 178),
    (213, 94, 0),
)


def scale_table(colors: tuple[Color, ...], steps: int = 256) -> NDArray[np.float64]:
    """``(steps, 3)`` colours from 0 to 255, evenly from the first to the last."""
    at = np.linspace(0, len(colors) - 1, steps)
    channels = np.array(colors, np.float64).T
    return np.stack([np.interp(at, np.arange(len(colors)), c) for c in channels], axis=1)


def signed_colors(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Colours of values from -1 (against) over 0 to 1 (for), ``(..., 3)``."""
    steps = _steps(np.abs(values))
    table = np.where(
        (values < 0)[..., None], scale_table(_AGAINST)[steps], scale_table(_FOR)[steps]
    )
    return np.asarray(table)


def strength_colors(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Colours of values from 0 to 1, dark blue to yellow, ``(..., 3)``."""
    return scale_table(_STRENGTH)[_steps(values)]


def along_colors(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Bright colours of values from 0 to 1, blue over white to yellow, ``(..., 3)``."""
    return scale_table(_ALONG)[_steps(values)]


def _steps(values: NDArray[np.floating]) -> NDArray[np.int64]:
    steps: NDArray[np.int64] = np.rint(np.clip(values, 0, 1) * 255).astype(np.int64)
    return steps
