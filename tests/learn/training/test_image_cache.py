from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from glocal.errors import DiskFullError, ImageError
from glocal.learn import cache as cache_module
from glocal.learn.cache import ImageCache, require_space


def smooth(width, height, seed=0):
    grain = np.random.default_rng(seed).integers(0, 255, (3, 4, 3)).astype(np.uint8)
    return Image.fromarray(grain).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def files(tmp_path):
    paths = []
    for number, size in enumerate([(200, 100), (60, 50), (1000, 100), (10, 10)]):
        paths.append(tmp_path / f"{number}.png")
        smooth(*size, seed=number).save(paths[-1])
    (tmp_path / "4.jpg").write_bytes(b"no image at all")
    return [*paths, tmp_path / "4.jpg", tmp_path / "5.png"]


def test_copies_are_small_and_similar(tmp_path, files):
    cache = ImageCache(tmp_path / "cache", side=80)
    heard = []
    unfit = cache.fill(files, workers=2, progress=lambda *counts: heard.append(counts))
    assert heard == [(6, 6)]
    assert set(unfit) == set(files[3:])
    assert unfit[files[3]] == "10x10 pixels are too few to learn from"
    assert [cache.read(path).shape for path in files[:3]] == [
        (80, 160, 3), (50, 60, 3), (80, 320, 3),
    ]  # fmt: skip
    same = np.asarray(Image.open(files[1])).astype(int)
    assert np.abs(cache.read(files[1]).astype(int) - same).mean() < 2
    middle = np.asarray(Image.open(files[2]))[:, 300:700]
    scaled = np.asarray(Image.fromarray(middle).resize((320, 80), Image.Resampling.LANCZOS))
    assert np.abs(cache.read(files[2]).astype(int) - scaled).mean() < 2
    with pytest.raises(ImageError, match=r"3\.png cannot be trained with: 10x10"):
        cache.read(files[3])
    with pytest.raises(ImageError, match="it was not copied"):
        cache.read(tmp_path / "other.png")


def test_a_second_run_copies_only_changed_images(tmp_path, files, monkeypatch):
    ImageCache(tmp_path / "cache", side=80).fill(files, workers=1)
    read = []
    real = cache_module.load

    def spy(path, **how):
        read.append(path)
        return real(path, **how)

    monkeypatch.setattr(cache_module, "load", spy)
    again = ImageCache(tmp_path / "cache", side=80)
    assert set(again.fill(files, workers=1)) == set(files[3:])
    assert read == []
    smooth(90, 300, seed=9).save(files[0])
    assert set(again.fill(files, workers=1)) == set(files[3:])
    assert read == [files[0]]
    assert again.read(files[0]).shape == (267, 80, 3)


@pytest.mark.parametrize("torn", ["index", "pack", "both"])
def test_a_kill_loses_only_the_last_copies(tmp_path, files, torn):
    folder = tmp_path / "cache"
    ImageCache(folder, side=80).fill(files[:3], workers=1)
    pack, index = folder / "images-80.pack", folder / "images-80.jsonl"
    if torn != "pack":
        os.truncate(index, index.stat().st_size - 5)
    if torn != "index":
        os.truncate(pack, pack.stat().st_size - 5)
    cache = ImageCache(folder, side=80)
    assert cache.read(files[1]).shape == (50, 60, 3)
    with pytest.raises(ImageError):
        cache.read(files[2])
    assert cache.fill(files[:3], workers=1) == {}
    for opened in (cache, ImageCache(folder, side=80)):
        assert [opened.read(path).shape[0] for path in files[:3]] == [80, 50, 80]
    entries = [json.loads(line) for line in index.read_text().splitlines()]
    assert sum(entry["bytes"] for entry in entries) == pack.stat().st_size


def test_many_threads_read_at_once(tmp_path, files):
    cache = ImageCache(tmp_path / "cache", side=80)
    cache.fill(files, workers=2)
    expected = [cache.read(path) for path in files[:3]]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(cache.read, files[:3] * 40))
    for number, array in enumerate(found):
        assert np.array_equal(array, expected[number % 3])


def test_a_full_disk_is_reported_beforehand(tmp_path):
    require_space(tmp_path, 1)
    with pytest.raises(DiskFullError, match=r"needs about 1000000\.0 GB in .* --run"):
        require_space(tmp_path, 10**15)


def test_a_disk_that_fills_up_is_reported_and_filling_resumes(tmp_path, files, monkeypatch):
    cache = ImageCache(tmp_path / "copies", side=50)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "_copy", lambda path: Unwritable(b"much"))
        with pytest.raises(DiskFullError, match=r"0\.png cannot be written.*No space.*--cache"):
            cache.fill(files[:3], workers=1)
    again = ImageCache(tmp_path / "copies", side=50)
    assert again.fill(files[:3], workers=1) == {}
    assert min(again.read(files[0]).shape[:2]) == 50


class Unwritable(bytes):
    def __len__(self):
        raise OSError(28, "No space left on device")
