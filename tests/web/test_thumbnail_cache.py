"""The cache of thumbnails stays within its bound, and drops what was not used for longest."""

from __future__ import annotations

import os
import time
from pathlib import Path
from uuid import UUID

from glocal.web.thumbnails import ThumbnailCache


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path, 1000)
    assert cache.get(UUID(int=1), 160) is None
    cache.put(UUID(int=1), 160, b"one")
    cache.put(UUID(int=1), 320, b"two")
    assert cache.get(UUID(int=1), 160) == b"one"
    assert ThumbnailCache(tmp_path, 1000).get(UUID(int=1), 320) == b"two"
    cache.remove(UUID(int=1), [160, 320, 640])
    assert cache.get(UUID(int=1), 320) is None


def test_it_stays_within_its_bound(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path, 1000)
    old = time.time() - 10 * 86_400
    for number in range(30):
        cache.put(UUID(int=number), 160, b"x" * 100)
        for path in tmp_path.rglob(f"{UUID(int=number).hex}*"):
            os.utime(path, (old + number, old + number))
        assert cache.get(UUID(int=0), 160) is not None  # used all the time
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.jpg")) <= 1000
    assert cache.get(UUID(int=29), 160) is not None
    assert cache.get(UUID(int=5), 160) is None


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = ThumbnailCache(tmp_path / "file", 1000)
    cache.put(UUID(int=1), 160, b"one")
    assert cache.get(UUID(int=1), 160) is None
