from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from made_datasets import ShadeEncoder, shade

from glocal.cli import vectors as module
from glocal.cli.vectors import VectorCache, encode_samples
from glocal.errors import GlocalError
from glocal.evaluate.datasets import Sample
from glocal.images import Limits


def numbers() -> bytes:
    """A .npy file instead of an .npz file."""
    file = io.BytesIO()
    np.save(file, np.arange(3))
    return file.getvalue()


def angle(value: float) -> np.ndarray:
    radians = np.pi / 2 * value / 255
    return np.asarray([np.cos(radians), np.sin(radians)])


@pytest.fixture
def encoder(tmp_path: Path) -> ShadeEncoder:
    return ShadeEncoder(tmp_path / "shade.onnx")


def encode(
    samples: list[Sample], encoder: ShadeEncoder, cache: VectorCache | None = None
) -> module.Encoded:
    return encode_samples(samples, encoder, limits=Limits(), cache=cache, show=True)


def test_whole_images_and_regions_are_encoded_once_each(
    tmp_path: Path, encoder: ShadeEncoder
) -> None:
    path = shade(tmp_path / "two.png", 10, 90)
    whole, part = Sample(path), Sample(path, (8.0, 0.0, 8.0, 16.0))
    encoded = encode([part, whole, part, whole], encoder)
    assert encoder.encoded == 2
    rows = encoded.of([whole, part, part])
    assert rows == pytest.approx(np.stack([angle(50), angle(90), angle(90)]), abs=1e-6)
    assert encoded.of([part, whole]) == pytest.approx(rows[[1, 0]])


def test_failures_are_listed_in_order_with_reasons(tmp_path: Path, encoder: ShadeEncoder) -> None:
    good = Sample(shade(tmp_path / "good.png", 7))
    outside = Sample(good.path, (900.0, 0.0, 9.0, 9.0))
    gone = Sample(tmp_path / "gone.png")
    encoded = encode([gone, good, outside], encoder)
    assert [failure.path for failure in encoded.failed] == [gone.path, outside.path]
    assert "covers no pixel" in encoded.failed[1].reason
    assert np.isnan(encoded.of([gone, outside])).all()
    assert not np.isnan(encoded.of([good])).any()


def test_the_cache_keeps_the_vectors_of_models_apart(tmp_path: Path, encoder: ShadeEncoder) -> None:
    samples = [Sample(shade(tmp_path / "x.png", 3))]
    for model, encoded in (("aa" * 32, 1), ("bb" * 32, 2), ("aa" * 32, 2)):
        encode(samples, encoder, VectorCache(tmp_path / "keep", model))
        assert encoder.encoded == encoded


def test_the_cache_writes_several_files(
    tmp_path: Path, encoder: ShadeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SHARD", 3)
    samples = [Sample(shade(tmp_path / f"{n}.png", n)) for n in range(10)]
    fresh = encode(samples, encoder, VectorCache(tmp_path / "keep", "aa" * 32))
    assert len(list((tmp_path / "keep").rglob("*.npz"))) == 4
    kept = encode(samples, encoder, VectorCache(tmp_path / "keep", "aa" * 32))
    assert (kept.cached, encoder.encoded) == (10, 10)
    assert np.array_equal(kept.of(samples), fresh.of(samples))


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 torn", b"\x93NUMPY", numbers()])
def test_a_damaged_cache_file_is_ignored(
    tmp_path: Path, encoder: ShadeEncoder, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    samples = [Sample(shade(tmp_path / "x.png", 3))]
    encode(samples, encoder, VectorCache(tmp_path / "keep", "aa" * 32))
    (part,) = (tmp_path / "keep").rglob("*.npz")
    part.write_bytes(damage)
    with caplog.at_level(logging.WARNING, "glocal"):
        again = encode(samples, encoder, VectorCache(tmp_path / "keep", "aa" * 32))
    assert again.cached == 0
    assert again.of(samples) == pytest.approx(angle(3)[None], abs=1e-6)
    assert f"ignoring the cache file {part}" in caplog.text


def test_a_cache_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GlocalError, match=r"the cache folder .* cannot be created"):
        VectorCache(tmp_path / "file", "aa" * 32)
