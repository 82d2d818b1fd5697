"""Do two pictures show the same pixels, once one is laid over the other?

Local parts say that two photos show one thing in one arrangement; photos of a burst do that as well
as copies. Copies are the same to the pixel: here the map of the parts is made exact by Gauss-Newton
steps (Lucas and Kanade, IJCAI 1981, as Baker and Matthews, IJCV 2004, compose them) on pixels freed
from local brightness and contrast, and the windows that then agree are counted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.ranking.geometry import Points

SIDE = 128
"""Square root of the area of the pictures that are compared: what a thumbnail has."""

WINDOW = 9
_STEPS = 8
_FLAT = 2.0  # grey levels of standard deviation below which a window has nothing to compare
Grey = NDArray[np.float32]


def same_pixels(first: Grey, second: Grey, homography: Points) -> tuple[float, float]:
    """How much of the first picture, where the second covers it, is the second to the pixel.

    Args:
        first: ``(h, w)`` float32 grey, about `SIDE` squared pixels.
        second: ``(h, w)`` of the other one.
        homography: ``(3, 3)`` from the first to the second, in fractions of width and height,
            right to a few per cent.

    Returns:
        The mean correlation of the windows with texture that both show, in [-1, 1], and the part of
        the first picture that they cover; both 0 where there is nothing to compare.
    """
    height, width = first.shape
    to_pixels = np.diag([second.shape[1] - 1.0, second.shape[0] - 1.0, 1.0])
    to_parts = np.diag([1 / (width - 1.0), 1 / (height - 1.0), 1.0])
    warp = to_pixels @ homography @ to_parts
    for blur in (9, 5, 1):
        warp = _aligned(_smooth(first, blur), _smooth(second, blur), warp)
    moved, inside = _warped(second, warp, first.shape)
    correlation, textured = _correlation(first, moved)
    seen = textured & (_box(inside.astype(np.float32), WINDOW) > 0.999)
    if seen.sum() < 50:
        return 0.0, 0.0
    return float(correlation[seen].mean()), float(seen.mean())


def _aligned(first: Grey, second: Grey, warp: Points) -> Points:
    target = _flattened(first)
    height, width = first.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = x / width - 0.5, y / height - 0.5
    for _ in range(_STEPS):
        moved, inside = _warped(second, warp, first.shape)
        moved = _flattened(moved)
        inside &= _box(inside.astype(np.float32), WINDOW) > 0.999
        if inside.sum() < 100:
            return warp
        down, across = np.gradient(moved, axis=0), np.gradient(moved, axis=1)
        gu, gv = across[inside] * width, down[inside] * height
        pu, pv = u[inside], v[inside]
        lean = gu * pu + gv * pv
        columns = np.stack([gu * pu, gu * pv, gu, gv * pu, gv * pv, gv, -lean * pu, -lean * pv])
        residual = target[inside] - moved[inside]
        weight = 1 / np.maximum(1.0, np.abs(residual) / 0.5)
        curve = (columns * weight) @ columns.T
        curve += np.eye(8) * 1e-3 * np.trace(curve) / 8
        step = np.linalg.solve(curve, (columns * weight) @ residual)
        step = np.clip(step, -0.1, 0.1)
        delta = np.eye(3) + np.append(step, 0).reshape(3, 3)
        frame = np.array([[1 / width, 0, -0.5], [0, 1 / height, -0.5], [0, 0, 1]])
        warp = warp @ np.linalg.inv(frame) @ delta @ frame
        if np.abs(step).max() < 2e-4:
            break
    return warp


def _warped(picture: Grey, warp: Points, shape: tuple[int, ...]) -> tuple[Grey, NDArray[np.bool_]]:
    """The picture as seen through the warp, bilinear, and where it is seen at all."""
    height, width = shape
    y, x = np.mgrid[0:height, 0:width]
    points = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    ahead = warp @ points
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        px, py = ahead[:2] / ahead[2]
    inside = (
        (px >= 0) & (px <= picture.shape[1] - 1) & (py >= 0) & (py <= picture.shape[0] - 1)
    ) & (ahead[2] > 0)
    px, py = np.where(inside, px, 0), np.where(inside, py, 0)
    left = np.minimum(px.astype(np.intp), picture.shape[1] - 2)
    top = np.minimum(py.astype(np.intp), picture.shape[0] - 2)
    fx, fy = px - left, py - top
    upper = picture[top, left] * (1 - fx) + picture[top, left + 1] * fx
    lower = picture[top + 1, left] * (1 - fx) + picture[top + 1, left + 1] * fx
    values = (upper * (1 - fy) + lower * fy).astype(np.float32)
    return values.reshape(shape), inside.reshape(shape)


def _flattened(picture: Grey) -> Grey:
    """Freed from local brightness and contrast."""
    mean = _box(picture, WINDOW)
    spread = np.sqrt(np.maximum(_box(picture * picture, WINDOW) - mean * mean, 0))
    return np.asarray((picture - mean) / (spread + _FLAT), np.float32)


def _correlation(first: Grey, second: Grey) -> tuple[Grey, NDArray[np.bool_]]:
    """Of each window of both, and whether there is anything in it to correlate."""
    mean, other = _box(first, WINDOW), _box(second, WINDOW)
    one = np.maximum(_box(first * first, WINDOW) - mean * mean, 0)
    two = np.maximum(_box(second * second, WINDOW) - other * other, 0)
    both = _box(first * second, WINDOW) - mean * other
    textured = np.maximum(one, two) > _FLAT**2
    return np.asarray(both / np.sqrt((one + 1) * (two + 1)), np.float32), textured


def _smooth(picture: Grey, window: int) -> Grey:
    return picture if window == 1 else _box(_box(picture, window), window)


def _box(picture: Grey, window: int) -> Grey:
    """The mean of each window, at the borders with the nearest pixels."""
    half = window // 2
    sums = np.pad(picture.astype(np.float64), half, mode="edge")
    for axis in (0, 1):
        total = np.cumsum(sums, axis=axis)
        total = np.concatenate([np.zeros_like(np.take(total, [0], axis)), total], axis)
        length = total.shape[axis] - window
        low = np.take(total, np.arange(length), axis)
        sums = (np.take(total, np.arange(window, length + window), axis) - low) / window
    return sums.astype(np.float32)
