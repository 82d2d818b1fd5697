from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glocal.encoders import Card, Features, OnnxEncoder, RegionSettings
from glocal.gallery import Gallery
from tiny_model import write_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a model that takes a fraction of a millisecond."""
    return write_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the same shape whose vectors mean something else."""
    return write_model(tmp_path_factory.mktemp("model") / "other.onnx", seed=1)


@pytest.fixture
def open_gallery(model: Path, tmp_path: Path) -> Iterator[Callable[..., Gallery]]:
    """Opens the test's gallery; all are closed in the end."""
    opened: list[Gallery] = []

    def open_it(folder: Path | None = None, **options: Any) -> Gallery:
        options.setdefault("timeout", 10.0)
        if options.get("create", True):
            options.setdefault("model", str(model))
            options.setdefault("detector", "own")
        opened.append(Gallery(folder or tmp_path / "gallery", **options))
        return opened[-1]

    yield open_it
    for gallery in opened:
        gallery.close()


class CountingEncoder:
    """The real encoder, which remembers how many images it was given."""

    encoded = 0

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 1,
        sessions: int = 1,
        budget_ms: float | None = None,
    ) -> None:
        self._encoder = OnnxEncoder(path, threads=threads, sessions=sessions, budget_ms=budget_ms)

    @property
    def card(self) -> Card:
        return self._encoder.card

    @property
    def dim(self) -> int:
        return self._encoder.dim

    @property
    def gives_regions(self) -> bool:
        return self._encoder.gives_regions

    def encode(
        self,
        images: Sequence[np.ndarray],
        *,
        scale: float = 1.0,
        regions: RegionSettings | None = None,
    ) -> list[Features]:
        type(self).encoded += len(images)
        return self._encoder.encode(images, scale=scale, regions=regions)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Says how many images were encoded since it was last asked."""
    monkeypatch.setattr("glocal.gallery.models.OnnxEncoder", CountingEncoder)
    CountingEncoder.encoded = 0

    def count() -> int:
        was, CountingEncoder.encoded = CountingEncoder.encoded, 0
        return was

    return count
