"""The homography of four points."""

from __future__ import annotations

import numpy as np

from glocal.images.perspective import homography


def test_the_homography_maps_each_corner_back() -> None:
    quad = np.array([[3.0, 5], [90, 11], [84, 77], [9, 60]])
    a, b, c, d, e, f, g, h = homography(quad, [(0, 0), (640, 0), (640, 480), (0, 480)])
    back = [
        ((a * x + b * y + c) / (g * x + h * y + 1), (d * x + e * y + f) / (g * x + h * y + 1))
        for x, y in quad
    ]
    np.testing.assert_allclose(back, [(0, 0), (640, 0), (640, 480), (0, 480)], atol=1e-8)
