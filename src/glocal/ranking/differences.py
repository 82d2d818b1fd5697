"""Where two images that lie on one another differ: in a person, a text, a number, a colour.

A re-encoded copy differs from its original everywhere a little, most where there is detail; a
changed digit differs in one place a lot. So what is tolerated grows with the detail that *both*
images have in a place and with the noise that the pair has all over, and what exceeds it is added
up in small blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glocal.ranking.registration import BLOCK, Mask, Rgb, block_means
from glocal.ranking.tones import Floats, Tones, fit_tones

_LEVELS = 12.0  # of 255, tolerated anywhere
_DETAIL = 0.6  # of the slope of a place that both images have
_NOISE = 3.0  # of the pair's own noise
_EXCESS = 8.0  # levels beyond all that, over three by three pixels, from which a block differs
_SLOW = 11.0  # levels by which the mean of a block may differ
_CHROMA = 13.0  # and its chroma
_STROKE = 8.0  # levels of chroma of thin strokes beyond its detail and the pair's own noise
_USUAL = 0.99  # of the pixels, whose difference of chroma is that noise; docs/decisions.md
_AS_LIGHT = 40.0  # levels of range, in a block and those around it, of colours that are as light
_FAINT = (
    7.0  # levels beyond all that, over three by three pixels, on plain ground; docs/decisions.md
)
_FAINT_OF_CHANGE = 0.25  # of the levels by which colours were changed
_PLAIN = 8.0  # levels of range in a block and those around it, that are plain ground
_QUIET, _AS_SHARP = 0.6, 1.15  # levels of noise; ratio of detail
_SMALL = 10.0  # levels beyond all that, over three by three pixels, where little was done
_EDGE, _LEAST_EDGES, _KEPT_EDGES = 16.0, 100, 0.97  # levels of a step; pixels; share
_CHANGED = 7.0  # levels by which a single pixel differs
_MOST_NOISE = 22.0  # levels of noise beyond which nothing is certain
_LEAST_ALIKE = 0.3  # cosine of two hues, whatever the tint
_LEAST_SAME = 0.88  # and of vivid ones after the tint that neutral colours show: 28 degrees
_NEUTRAL, _VIVID = 8.0, 30.0  # levels of chroma
_ENDS = 7.0, 248.0  # levels below and above which a channel has ended
_BANDS = (1, 3, 9)  # radii between which detail is made equally strong
_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """Where two images differ, in the blocks of their frame.

    Attributes:
        differs: ``(rows, columns)`` bool.
        tones: the rule for all colours; `None` where there is none, and then everything differs.
        noise: levels of 255 by which they differ all over.
        sharper: detail of the first image for that of the second; above 1 the first is sharper.
        exact: not one pixel differs by more than rounding.
        foretold: ``second`` where the rule makes the first image's colours the second one's; else
            ``first``.
    """

    differs: Mask
    tones: Tones | None
    noise: float
    sharper: float
    exact: bool
    foretold: str = "first"


def differences(
    first: Rgb, second: Rgb, shown: Mask, whole: Differences | None = None
) -> Differences:
    """Find where two registered images differ.

    Args:
        first: ``(h, w, 3)`` uint8.
        second: ``(h, w, 3)`` uint8 in the same frame.
        shown: ``(h / BLOCK, w / BLOCK)``, the blocks to compare.
        whole: of the whole images, where these are parts of them: its rule for all colours holds.
    """
    one, two = first.astype(np.float32), second.astype(np.float32)
    inside = np.repeat(np.repeat(shown, BLOCK, axis=0), BLOCK, axis=1)
    apart = _largest(np.abs(one - two))
    if float(apart[inside].max(initial=0)) <= 2:
        return Differences(np.zeros_like(shown), _NO_CHANGE, 0.0, 1.0, exact=True)
    # What is burnt out cannot be foretold back: the one with more of it is foretold.
    ended = _ended(one), _ended(two)
    swapped = bool(ended[1][inside].mean() > ended[0][inside].mean())
    if whole is not None and whole.tones is not None:
        swapped = whole.foretold == "second"
    if swapped:
        one, two, ended = two, one, ended[::-1]
    if whole is None or whole.tones is None:
        tones = fit_tones(block_means(one)[shown], block_means(two)[shown])
    else:
        tones = whole.tones.turned() if swapped else whole.tones  # names the images as below
    if tones is None:
        return Differences(shown.copy(), None, float(apart[inside].mean()), 1.0, exact=False)
    toned = tones.apply(two)
    light, dark = np.asarray(one @ _WEIGHTS), np.asarray(toned @ _WEIGHTS)
    light, dark, sharper = _as_sharp(light, dark, inside)
    light, dark = _smooth(light), _smooth(dark)
    rest = light - dark
    if tones.change > 6:
        rest[ended[0] & (np.sign(rest) == np.where(light > 128, -1, 1))] = 0
    noise = float(np.median(np.sqrt(block_means(rest * rest)[shown])))
    detail = np.minimum(_detail(light), _detail(dark))
    beyond = np.asarray(np.abs(rest) - (_DETAIL * detail + np.float32(_NOISE * noise)), np.float32)
    excess = np.maximum(beyond - np.float32(_LEVELS), 0)
    differs = _block_largest(_smooth(excess)) > _EXCESS
    # On plain ground a faint line is seen, and hardly any edit brings one forth.
    most = _block_largest(_smooth(beyond))
    faint = _FAINT + _FAINT_OF_CHANGE * tones.change  # a curve may miss a plain colour by as much
    differs |= (most > faint) & (_range(light, dark) < _PLAIN)
    if noise < _QUIET and tones.change < 2 and 1 / _AS_SHARP < sharper < _AS_SHARP:
        differs |= most > _SMALL  # little was done, so less explains what there is
    differs |= _alone(one, two, apart, inside)
    differs |= np.abs(block_means(rest)) > _SLOW + 0.25 * block_means(detail) + noise
    # A vivid red alone is a shade of one colour as well, and no grey version of an orange.
    differs |= other_hue(block_means(one), block_means(two))
    if not tones.one_grey:
        differs |= _other_colour(one, toned)
        differs |= _other_strokes(one, toned, inside) & (_range(light, dark) < _AS_LIGHT)
    differs &= shown
    if noise > _MOST_NOISE:
        differs = shown.copy()
    if swapped:
        tones, sharper = tones.turned(), 1 / sharper
    foretold = "second" if swapped else "first"
    return Differences(differs, tones, noise, sharper, exact=False, foretold=foretold)


def _range(one: Floats, two: Floats) -> Floats:
    """The range of levels in a block and those around it, in the image where that is less."""
    ranges = []
    for image in (one, two):
        high, low = _block_largest(image), -_block_largest(-image)
        ranges.append(_largest_near(high) + _largest_near(-low))
    return np.asarray(np.minimum(*ranges))


def _largest_near(values: Floats) -> Floats:
    """The largest of three by three values around each."""
    padded = np.pad(values, 1, mode="edge")
    rows = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    return np.asarray(np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:]))


def _alone(one: Floats, two: Floats, apart: Floats, inside: Mask) -> Mask:
    """Blocks with a pixel that differs where edges are the same to the level everywhere else.

    Whatever saves an image with loss moves the levels along its edges.
    """
    steps = [np.abs(np.diff(image[..., 1], axis=1)) > _EDGE for image in (one, two)]
    edges = steps[0] & steps[1] & inside[:, 1:]
    count = int(np.count_nonzero(edges))
    if count < _LEAST_EDGES or np.count_nonzero(apart[:, 1:][edges] <= 2) < _KEPT_EDGES * count:
        return np.zeros((apart.shape[0] // BLOCK, apart.shape[1] // BLOCK), np.bool_)
    return np.asarray(_block_largest(apart) > _CHANGED)


def other_hue(one: Floats, two: Floats) -> Mask:
    """Blocks that are saturated in both images, each in a hue that no tint makes of the other's.

    Curves for each channel make a red product an orange one and leave its white background as it
    is. A tint moves what is neutral, too: by that much and little more may a vivid colour turn.

    Args:
        one: ``(rows, columns, 3)``, the mean levels of blocks.
        two: the same of the other image.
    """
    first, second = _chroma(one), _chroma(two)
    lights = one @ _WEIGHTS + 20, two @ _WEIGHTS + 20
    sizes = np.hypot(first[..., 0], first[..., 1]), np.hypot(second[..., 0], second[..., 1])
    least, light = np.minimum(*sizes), np.maximum(*lights)
    strong = (least > 12) & (sizes[0] > 0.3 * lights[0]) & (sizes[1] > 0.3 * lights[1])
    other = strong & (_cosine(first, second) < _LEAST_ALIKE)
    neutral = (least < _NEUTRAL) & (light > 60)
    if neutral.sum() >= max(16, 0.02 * neutral.size):
        tints = (
            second[neutral] / lights[1][neutral, None] - first[neutral] / lights[0][neutral, None]
        )
        moved = first + np.median(tints, axis=0) * lights[0][..., None]
        turned = (least > _VIVID) & (_cosine(moved, second) < _LEAST_SAME)
        # An edge between two colours that lies a little aside is no other colour.
        wide = _smooth(turned.astype(np.float32)) > 0.5
        other |= turned & wide
    return np.asarray(other)


def _chroma(colours: Floats) -> Floats:
    """``(..., 2)``: the chroma of ITU-R BT.601 of ``(..., 3)`` levels."""
    light = colours @ _WEIGHTS
    blue, red = (colours[..., 2] - light) * 0.564, (colours[..., 0] - light) * 0.713
    return np.asarray(np.stack([blue, red], -1), np.float32)


def _cosine(first: Floats, second: Floats) -> Floats:
    size = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return np.asarray((first * second).sum(axis=-1) / np.maximum(size, 1e-3))


def _largest(image: Floats) -> Floats:
    """The largest channel of ``(h, w, 3)``; numpy's own is ten times slower along a short axis."""
    return np.asarray(np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2]))


def _ended(image: Floats) -> Mask:
    """Where a channel of an image is, or is next to, as dark or bright as it can be."""
    out = (_largest(image) > _ENDS[1]) | (_largest(-image) > -_ENDS[0])
    return np.asarray(_smooth(out.astype(np.float32)) > 0)


_NO_CHANGE = Tones(False, False, np.tile([0.0, 1.0, 0.0], (3, 1)), 1.0, 0.0)


def boxes(differs: Mask, most: int = 24) -> tuple[tuple[float, float, float, float], ...]:
    """Rectangles around what differs, largest first: x, y, width, height as parts of the frame."""
    rows, columns = differs.shape
    left = {(int(y), int(x)) for y, x in np.argwhere(differs)}
    found = []
    while left:
        waiting = [left.pop()]
        group = []
        while waiting:
            y, x = waiting.pop()
            group.append((y, x))
            for near in [(y + dy, x + dx) for dy in (-2, -1, 0, 1, 2) for dx in (-2, -1, 0, 1, 2)]:
                if near in left:
                    left.remove(near)
                    waiting.append(near)
        ys, xs = zip(*group, strict=True)
        box = (
            min(xs) / columns,
            min(ys) / rows,
            (max(xs) + 1 - min(xs)) / columns,
            (max(ys) + 1 - min(ys)) / rows,
        )
        found.append((len(group), box))
    found.sort(key=lambda pair: (-pair[0], pair[1]))
    return tuple(box for _, box in found[:most])


def _block_largest(values: Floats, side: int = BLOCK) -> Floats:
    height, width = values.shape[0] // side, values.shape[1] // side
    rows = values.reshape(height, side, width * side).max(axis=1)
    return np.asarray(rows.reshape(height, width, side).max(axis=2))


def _as_sharp(light: Floats, dark: Floats, inside: Mask) -> tuple[Floats, Floats, float]:
    """Both with the detail of the less sharp one; and how much sharper the first is."""
    sharper = 1.0
    smooth, other_smooth = light, dark
    for number, radius in enumerate(_BANDS):
        below, other_below = _box(smooth, radius), _box(other_smooth, radius)
        one, two = smooth - below, other_smooth - other_below
        smooth, other_smooth = below, other_below
        a, b = one[inside], two[inside]
        power, other, both = float(a @ a), float(b @ b), float(a @ b)
        if min(power, other) < len(a) / 4:  # less than half a level of detail
            continue
        ratio = float(np.sqrt(power / other))
        if number < 2:
            sharper *= float(np.sqrt(ratio))
        if both < 0.5 * np.sqrt(power * other):
            continue
        if ratio > 1.05:
            light = light - one * np.float32(1 - both / power)
        elif ratio < 0.95:
            dark = dark - two * np.float32(1 - both / other)
    return light, dark, sharper


def _other_colour(one: Floats, toned: Floats) -> Mask:
    """Blocks whose chroma is another one: chroma alone, since many formats keep it coarsely."""
    apart = block_means(one) - block_means(toned)
    light = apart @ _WEIGHTS
    blue, red = (apart[..., 2] - light) * 0.564, (apart[..., 0] - light) * 0.713
    size = np.hypot(blue, red)
    usual = float(np.median(size))
    # Colours bleed from one block into the next: what the neighbours have explains it.
    mean = block_means(toned)
    bleed = np.abs(_detail(np.asarray(mean[..., 0] - mean[..., 1])))
    bleed += np.abs(_detail(np.asarray(mean[..., 2] - mean[..., 1])))
    return np.asarray(size > _CHROMA + 2 * usual + 0.12 * bleed)


def _other_strokes(one: Floats, toned: Floats, inside: Mask) -> Mask:
    """Blocks with thin strokes of another chroma, of which the mean of a block says little.

    Writing that is as light as its ground is seen by nothing else. Two by two pixels are one, as in
    many formats. A palette changes chroma as much, in many places.
    """
    pairs = []
    for image in (one, toned):
        small = image.reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2, 3).mean(axis=(1, 3))
        chroma = _chroma(small)
        pairs.append([_smooth(chroma[..., channel]) for channel in (0, 1)])
    within = inside[::2, ::2]
    largest = np.zeros((one.shape[0] // BLOCK, one.shape[1] // BLOCK), np.float32)
    for first, second in zip(*pairs, strict=True):
        rest = np.abs(first - second)
        noise = float(np.quantile(rest[within], _USUAL)) if within.any() else 0.0
        beyond = rest - np.float32(_DETAIL) * np.minimum(_detail(first), _detail(second))
        beyond -= np.float32(_NOISE * noise)
        np.maximum(largest, _block_largest(beyond, BLOCK // 2), out=largest)
    return np.asarray(largest > _STROKE)


def _smooth(values: Floats) -> Floats:
    """The mean of three by three pixels, at the borders with the nearest ones."""
    padded = np.pad(values, 1, mode="edge")
    down = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray((down[:, :-2] + down[:, 1:-1] + down[:, 2:]) * np.float32(1 / 9))


def _box(values: Floats, radius: int) -> Floats:
    """The mean of the square of ``2 radius + 1`` pixels, twice."""
    from PIL import Image, ImageFilter

    opened = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    if radius > 1:
        opened = opened.filter(ImageFilter.BoxBlur(radius))
        return np.asarray(opened.filter(ImageFilter.BoxBlur(radius)), np.float32)
    return _smooth(_smooth(values))


def _detail(values: Floats, side: int = 3) -> Floats:
    """The range of the values in a square around each."""
    radius = side // 2
    height, width = values.shape
    padded = np.pad(values, radius, mode="edge")
    high, low = padded[0:height].copy(), padded[0:height].copy()
    for step in range(1, side):
        rows = padded[step : step + height]
        np.maximum(high, rows, out=high)
        np.minimum(low, rows, out=low)
    top, bottom = high[:, 0:width].copy(), low[:, 0:width].copy()
    for step in range(1, side):
        np.maximum(top, high[:, step : step + width], out=top)
        np.minimum(bottom, low[:, step : step + width], out=bottom)
    return np.asarray(top - bottom)
