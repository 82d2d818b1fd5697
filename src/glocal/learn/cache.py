"""Small copies of the training images: decoding the originals would cost more than learning."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from glocal.errors import DiskFullError, GlocalError, ImageError
from glocal.images import load

_QUALITY = 95
_LEAST_SIDE = 24  # pixels; smaller images are bullets and icons
_MOST_ASPECT = 4
_BYTES_EACH = 60_000  # generous size of a copy whose shorter side is 288
_AHEAD = 64


class ImageCache:
    """Small JPEG copies of images, looked up by path, in one file with an index beside it.

    Filling may be interrupted at any time and resumes where it stopped. An image whose file has
    changed is copied again.

    Args:
        folder: folder of the cache; created if it does not exist.
        side: shorter side of the copies in pixels; smaller images are not enlarged.
    """

    def __init__(self, folder: Path, *, side: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.side = side
        self._pack, self._index = (
            folder / f"images-{side}.pack",
            folder / f"images-{side}.jsonl",
        )
        self._entries: dict[str, dict[str, Any]] = {}
        self._read_index()

    def fill(
        self,
        paths: Sequence[Path],
        *,
        workers: int,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> dict[Path, str]:
        """Copy the images that are not in the cache yet.

        Args:
            paths: image files.
            workers: number of decoding threads.
            progress: called with the number of images done and their total.

        Returns:
            The images that cannot be used, with the reasons.

        Raises:
            DiskFullError: there is no room for the copies.
        """
        marks = {path: _mark(path) for path in paths}
        missing = [
            path
            for path in paths
            if self._entries.get(str(path.absolute()), {}).get("mark") != marks[path]
        ]
        require_space(self._pack.parent, len(missing) * _BYTES_EACH * self.side**2 // 288**2)
        done = len(paths) - len(missing)
        with (
            self._pack.open("ab") as pack,
            self._index.open("a", encoding="utf-8") as index,
            ThreadPoolExecutor(workers, thread_name_prefix="glocal-copy") as pool,
        ):
            for begin in range(0, len(missing), _AHEAD):
                block = missing[begin : begin + _AHEAD]
                for path, copy in zip(block, pool.map(self._copy, block), strict=True):
                    self._keep(path, marks[path], copy, pack, index)
                done += len(block)
                progress(done, len(paths))
        entries = {path: self._entries[str(path.absolute())] for path in paths}
        return {path: entry["unfit"] for path, entry in entries.items() if "unfit" in entry}

    def _keep(
        self, path: Path, mark: list[int], copy: bytes | str, pack: BinaryIO, index: TextIO
    ) -> None:
        entry: dict[str, Any] = {"path": str(path.absolute()), "mark": mark}
        try:
            if isinstance(copy, str):
                entry["unfit"] = copy
            else:
                entry |= {"at": pack.tell(), "bytes": len(copy)}
                pack.write(copy)
            # The copy has to be on disk before its entry in the index.
            pack.flush()
            index.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise DiskFullError(
                f"a copy of {path} cannot be written to {self._pack}: {error}; free some disk "
                "space and start again to resume, or use another folder with --cache"
            ) from error
        self._entries[entry["path"]] = entry

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Read the copy of an image, ``(h, w, 3)`` uint8; safe to call from many threads.

        Raises:
            ImageError: the image has no copy.
        """
        import simplejpeg

        entry = self._entries.get(str(path.absolute()), {"unfit": "it was not copied"})
        if "unfit" in entry:
            raise ImageError(f"{path} cannot be trained with: {entry['unfit']}")
        with self._pack.open("rb") as file:
            file.seek(entry["at"])
            data = file.read(entry["bytes"])
        array: NDArray[np.uint8] = simplejpeg.decode_jpeg(data)
        return array

    def _copy(self, path: Path) -> bytes | str:
        import simplejpeg
        from PIL import Image

        try:
            array = load(path, min_side=self.side).array
        except (GlocalError, OSError) as error:
            return str(error) or repr(error)
        height, width = array.shape[:2]
        if min(height, width) < _LEAST_SIDE:
            return f"{width}x{height} pixels are too few to learn from"
        if max(height, width) > _MOST_ASPECT * min(height, width):
            long = _MOST_ASPECT * min(height, width)  # the middle of a very long image
            top, left = max(0, height - long) // 2, max(0, width - long) // 2
            array = array[top : top + long, left : left + long]
            height, width = array.shape[:2]
        scale = self.side / min(height, width)
        if scale < 1:
            size = max(self.side, round(width * scale)), max(self.side, round(height * scale))
            array = np.asarray(Image.fromarray(array).resize(size, Image.Resampling.LANCZOS))
        data: bytes = simplejpeg.encode_jpeg(
            np.ascontiguousarray(array), quality=_QUALITY, colorsubsampling="444"
        )
        return data

    def _read_index(self) -> None:
        end = 0
        whole = []
        if self._index.exists():
            size = self._pack.stat().st_size if self._pack.exists() else 0
            for line in self._index.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    break  # cut off by a kill, like everything behind it
                if "at" in entry:
                    if entry["at"] + entry["bytes"] > size:
                        break
                    end = entry["at"] + entry["bytes"]
                self._entries[entry["path"]] = entry
                whole.append(line + "\n")
            partial = self._index.with_suffix(".partial")
            partial.write_text("".join(whole), encoding="utf-8")
            os.replace(partial, self._index)
        with self._pack.open("ab") as pack:
            pack.truncate(end)


def require_space(folder: Path, needed: int) -> None:
    """Check that a disk has enough free space.

    Args:
        folder: existing folder on the disk.
        needed: number of bytes needed.

    Raises:
        DiskFullError: there is too little; the text says how much is needed and free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFullError(
            f"training needs about {needed / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB "
            "are free; make room, or use a folder on another disk with --run, --cache or --output"
        )


def _mark(path: Path) -> list[int]:
    """Size and modification time of a file; empty if it does not exist."""
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]
