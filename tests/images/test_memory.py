"""Images whose decoding would take more memory than is allowed are refused before it begins."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from glocal.errors import ImageError
from glocal.images import Limits, load
from glocal.images.memory import bytes_per_pixel


def test_a_limit_of_memory_is_one_of_pixels_by_format() -> None:
    limits = Limits()
    limits.check_memory(12_000, 9_000, 9.0)  # 108 megapixels of a usual format
    with pytest.raises(ImageError, match=r"takes 1,782 MB and the limit is 1,080 MB"):
        limits.check_memory(12_000, 9_000, 16.5)
    Limits(max_pixels=200_000_000).check_memory(12_000, 9_000, 16.5)  # as the error advises
    Limits(max_pixels=1).check_memory(1_000, 1_000, 16.5)  # what is small is the other limit's


def test_it_is_checked_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((4_000, 4_500, 3), np.uint8)).save(file, "WEBP", lossless=True)
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("was decoded"))
    with pytest.raises(ImageError, match="raise it with --max-pixels"):
        load(file.getvalue(), limits=Limits(max_pixels=18_000_000))


def test_what_is_unknown_counts_by_its_mode() -> None:
    for mode, least in (("RGB", 4), ("RGBA", 8), ("I;16", 8), ("I", 12), ("F", 12)):
        assert bytes_per_pixel(SimpleNamespace(mode=mode), "TIFF") >= least  # type: ignore[arg-type]
