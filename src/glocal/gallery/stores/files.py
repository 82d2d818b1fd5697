"""Files on disk: replace one atomically, copy a tree without filling its holes, measure a tree."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_BLOCK = 1 << 16


def replace_text(path: Path, text: str) -> None:
    """Write a small file so that a reader, or a crash, finds the old text or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder; runs of zeros become holes, of which preallocated files are mostly made."""
    target.mkdir()
    for item in source.iterdir():
        if item.is_dir():
            copy_tree(item, target / item.name)
            continue
        with item.open("rb") as old, (target / item.name).open("wb") as new:
            while block := old.read(_BLOCK):
                if block.count(0) == len(block):
                    new.seek(len(block), os.SEEK_CUR)
                else:
                    new.write(block)
            new.truncate()


def disk_bytes(folder: Path) -> int:
    """Bytes a folder takes on its disk; holes in files take none."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # gone meanwhile
            found = path.lstat()
            total += found.st_blocks * 512 if hasattr(found, "st_blocks") else found.st_size
    return total
