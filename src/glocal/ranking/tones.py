"""What was done to an image's colours as a whole, told from colours that differ in places.

An edit of exposure, contrast, warmth or saturation is one rule for all pixels: here a curve for
each channel and one saturation, fitted robustly to the means of blocks. The rule has to be
one that people's edits follow: no channel is turned round or thrown away, and a hue stays what it
was, for otherwise an orange product on white would be an "edited" blue one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_GREY = 5.0  # chroma beyond what follows from the lightness alone, below which an image is grey
_SLOPES = (0.15, 6.0)
_SATURATIONS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.35), (1.12, 1.25, 1.45, 1.7, 2.0, 2.5)
_EXPLAINED = 1.0  # levels of 255 left on average, from which curves alone explain the change
_FITTED = 1200  # blocks are enough for a few numbers
_BLUE, _RED = 0.564, 0.713  # of ITU-R BT.601: chroma from blue and red less luma
_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Tones:
    """How the colours of the second image become those of the first.

    Attributes:
        first_grey: the first image has lost its colours.
        second_grey: the second one has.
        curves: ``(3, 3)``: for each channel of the second image, in [0, 1], the factors of its
            square, of itself and of 1; of the luma alone where one is grey.
        saturation: by which the chroma of the second is multiplied before that.
        change: by how many levels of 255 the rule moves colours on average.
    """

    first_grey: bool
    second_grey: bool
    curves: NDArray[np.float64]
    saturation: float
    change: float

    @property
    def one_grey(self) -> bool:
        """Whether one of both has colours and the other has none."""
        return self.first_grey != self.second_grey

    def turned(self) -> Tones:
        """The same with the images' names exchanged; the curves stay those that were fitted."""
        return replace(self, first_grey=self.second_grey, second_grey=self.first_grey)

    def apply(self, second: Floats) -> Floats:
        """``(..., 3)`` RGB levels of the second image as the first one would have them."""
        x = second / np.float32(255)
        if self.first_grey or self.second_grey:
            luma = x @ _WEIGHTS
            a, b, c = self.curves[0].astype(np.float32)
            grey = np.clip((a * luma + b) * luma + c, 0, 1) * np.float32(255)
            return np.repeat(grey[..., None], 3, axis=-1)
        a, b, c = self.curves.T.astype(np.float32)
        x = _saturated(x, self.saturation)
        toned = (a * x + b) * x + c
        return np.asarray(np.clip(toned, 0, 1) * np.float32(255), np.float32)


def is_grey(colours: Floats) -> bool:
    """Whether colours ``(n, 3)`` are shades of one: grey, sepia or any other tint."""
    if len(colours) < 16:
        return False
    luma, chroma = _split(colours)
    design = np.column_stack([luma / 255, (luma / 255) ** 2, np.ones_like(luma)])
    rest = chroma - design @ np.linalg.lstsq(design, chroma, rcond=None)[0]
    return bool(np.quantile(np.linalg.norm(rest, axis=1), 0.98) < _GREY)


def fit_tones(first: Floats, second: Floats) -> Tones | None:
    """The rule that makes the second image's colours the first one's.

    Args:
        first: ``(n, 3)`` mean colours of blocks, in [0, 255].
        second: those of the same blocks in the other image.

    Returns:
        `None` where no rule that an edit follows comes near.
    """
    greys = is_grey(first), is_grey(second)
    if any(greys):
        one, two = first @ _WEIGHTS, second @ _WEIGHTS
        curve = _curve(one, two)
        if curve is None:
            return None
        tones = Tones(*greys, np.tile(curve, (3, 1)), 1.0, 0.0)
        moved = np.abs(tones.apply(second)[:, 0] - two)
        return Tones(*greys, tones.curves, 1.0, float(moved.mean()))
    step = max(1, len(first) // _FITTED)
    some, others = first[::step], second[::step]
    unchanged = best = _toned(some, others, 1.0)
    if unchanged is None or unchanged[0] >= _EXPLAINED:
        for saturations in _SATURATIONS:
            for saturation in saturations:
                found = _toned(some, others, saturation)
                if found is not None and (best is None or found[0] < best[0]):
                    best = found
                elif unchanged is not None:  # what lies beyond is worse still
                    break
    if best is None:
        return None
    moved = np.abs(best[1].apply(second) - second)
    return replace(best[1], change=float(moved.mean()))


def _toned(first: Floats, second: Floats, saturation: float) -> tuple[float, Tones] | None:
    """The curves after the saturation was changed by so much, and how far they lead astray."""
    saturated = _saturated(second, saturation)
    curves = [_curve(first[:, c], saturated[:, c]) for c in range(3)]
    known = [curve for curve in curves if curve is not None]
    if len(known) < 3:
        return None
    tones = Tones(False, False, np.array(known), saturation, 0.0)
    return float(np.abs(tones.apply(second) - first).mean()), tones


def _saturated(colours: Floats, saturation: float) -> Floats:
    if saturation == 1.0:
        return colours
    luma = (colours @ _WEIGHTS)[..., None]
    return np.asarray(luma + (colours - luma) * np.float32(saturation), np.float32)


def _split(colours: Floats) -> tuple[Floats, Floats]:
    """Luma ``(n,)`` and chroma ``(n, 2)``."""
    luma = colours @ _WEIGHTS
    chroma = np.column_stack([(colours[:, 2] - luma) * _BLUE, (colours[:, 0] - luma) * _RED])
    return luma, np.asarray(chroma, np.float32)


def _curve(first: Floats, second: Floats) -> NDArray[np.float64] | None:
    """Factors of the square, the value and 1 by which the second becomes the first, in [0, 1]."""
    x, y = second.astype(np.float64) / 255, first.astype(np.float64) / 255
    usable = (x > 0.02) & (x < 0.98) & (y > 0.02) & (y < 0.98)
    if usable.sum() < 16 or x[usable].std() < 0.01:
        return np.array([0.0, 1.0, 0.0])
    x, y = x[usable], y[usable]
    for square in (True, False):  # without the square where it would bend the curve too far
        columns = [x, np.ones_like(x)]
        if square:
            columns.insert(0, x * x)
        design = np.column_stack(columns)
        # Drawn to no change at all where the values say little.
        held = np.eye(design.shape[1]) * (0.02**2 * len(x))
        neutral = np.array([0.0, 1.0, 0.0][-design.shape[1] :])
        weight = np.ones_like(x)
        solution = neutral
        for _ in range(8):
            weighted = design.T * (weight * weight)
            solution = np.linalg.solve(weighted @ design + held, weighted @ y + held @ neutral)
            rest = np.abs(y - design @ solution)
            middle = np.partition(rest, len(rest) // 2)[len(rest) // 2]
            weight = 1 / np.maximum(1.0, rest / max(float(middle) * 2.5, 0.01))
        curve = np.concatenate([np.zeros(3 - len(solution)), solution])
        low, high = np.quantile(x, [0.02, 0.98])
        slopes = [2 * curve[0] * at + curve[1] for at in (low, high)]
        if all(_SLOPES[0] <= slope <= _SLOPES[1] for slope in slopes):
            return np.asarray(curve)
    return None
