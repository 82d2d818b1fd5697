"""Find images below a folder, without following anything anywhere it should not go."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from glocal.gallery.leaving_out import NO_MEDIA, LeftOut
from glocal.images import has_image_suffix, urls
from glocal.images.formats import kind_not_read
from glocal.images.url_paths import UrlPath

_NOTHING = LeftOut()
_MOUNT_POINT = 0xA0000003


@dataclass(frozen=True, slots=True)
class FoundFile:
    """An image file as it was found.

    Attributes:
        name: in its folder.
        size: in bytes.
        modified: as `modified_ns` gives it.
        changed: as `changed_ns` gives it.
    """

    name: bytes
    size: int
    modified: int
    changed: int


@dataclass(slots=True)
class FoundFolder:
    """One folder and the images right inside it.

    Attributes:
        path: of the folder.
        device: number of the file system it lies on.
        files: what is to be read.
        refused: names, with the reason why they are not even opened.
        not_read: how many images there are of kinds that are not read, by kind.
        unreadable: why the folder itself cannot be listed; then nothing is known of its files.
    """

    path: Path
    device: int | None = None
    files: list[FoundFile] = field(default_factory=list)
    refused: list[tuple[bytes, str]] = field(default_factory=list)
    not_read: Counter[str] = field(default_factory=Counter)
    unreadable: str | None = None


def walk(root: Path, gallery: Path, left_out: LeftOut = _NOTHING) -> Iterator[FoundFolder]:
    """Yield a folder and every folder below it, parents first.

    What `left_out` says and the folder of the gallery, by whichever path it is met, are passed
    over. Links to folders are not followed, so no loop is possible and no image is met twice; links
    to files are. Memory grows with the largest folder, not with the tree.
    """
    if isinstance(root, UrlPath):
        from glocal.gallery.url_walk import walk_url  # it needs what is here

        yield from walk_url(root, left_out)
        return
    waiting = [root]
    while waiting:
        path = waiting.pop()
        if not is_same(path, gallery):
            found = _list(root, path, left_out, waiting)
            if found is not None:
                yield found


def single_file(path: Path) -> FoundFolder:
    """The folder of one file, as `walk` would give it if it held nothing else."""
    if isinstance(path, UrlPath):
        from glocal.gallery.url_walk import url_file

        return url_file(path)
    folder = FoundFolder(path.parent)
    _take(folder, path.name, str(path))
    return folder


def kind_of(path: Path) -> Literal["folder", "file"] | None:
    """What a path leads to; `None` if nothing is there, and whatever is no folder is a file.

    Raises:
        ImageError: it is a URL, and its server cannot be asked.
    """
    if isinstance(path, UrlPath):
        return urls.kind(path)
    try:
        return "folder" if path.is_dir() else "file" if os.path.lexists(path) else None
    except OSError:
        return None


def reaches(root: Path, path: Path, left_out: LeftOut = _NOTHING) -> bool:
    """Whether the walk of a folder comes to a path below it, if that is an image or a folder."""
    below = path.relative_to(root).parts
    steps = [root.joinpath(*below[: depth + 1]) for depth in range(len(below))]
    if any(left_out.skips(root, step.parent, step.name) for step in steps):
        return False
    if isinstance(path, UrlPath):
        return True
    if any(step.is_symlink() or _is_junction(step) for step in steps[:-1]):
        return False
    if any(os.path.lexists(step / NO_MEDIA) for step in steps):
        return False
    if path.is_dir():
        return not path.is_symlink()
    return has_image_suffix(path.name)


def is_same(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder, through whatever links and mounts."""
    if path == other:
        return True
    if isinstance(path, UrlPath) or isinstance(other, UrlPath):
        return False
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def modified_ns(found: os.stat_result) -> int:
    """When a file was modified, in nanoseconds since 1970, modulo 2 ** 64 and signed.

    File systems keep 64 bits of seconds; the years that 64 bits of nanoseconds, and SQLite, cannot
    tell end in 2262. All that matters is whether the time has changed.
    """
    return _signed(found.st_mtime_ns)


def changed_ns(found: os.stat_result) -> int:
    """When anything about a file changed, its content, names or rights, as `modified_ns` counts.

    Programs that edit what a photo says of itself set `modified` back (``exiftool -P``); they
    cannot set this. On Windows it is when the file was made, which says less and harms nothing.
    """
    return _signed(found.st_ctime_ns)


def _signed(time: int) -> int:
    return (time + 2**63) % 2**64 - 2**63


def _list(root: Path, path: Path, left_out: LeftOut, waiting: list[Path]) -> FoundFolder | None:
    """The images right in a folder, whose folders begin to wait; `None` where it says none are."""
    folder = FoundFolder(path)
    below = []
    try:
        folder.device = path.stat().st_dev
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name == NO_MEDIA and path != root:
                    return None
                if left_out.skips(root, path, entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if not _is_junction(path / entry.name):
                        below.append(path / entry.name)
                elif has_image_suffix(entry.name):
                    _take(folder, entry.name, entry)
                elif kind := kind_not_read(entry.name):
                    folder.not_read[kind] += 1
    except OSError as error:
        folder.unreadable = f"the folder cannot be read: {_reason(error)}"
    waiting += below
    return folder


def _take(folder: FoundFolder, name: str, entry: str | os.DirEntry[str]) -> None:
    try:
        found = os.stat(entry) if isinstance(entry, str) else entry.stat()
    except OSError as error:
        broken = isinstance(error, FileNotFoundError) and os.path.islink(entry)
        reason = "a link to a file that is not there" if broken else _reason(error)
        folder.refused.append((os.fsencode(name), reason))
        return
    if stat.S_ISDIR(found.st_mode):
        return  # a link to a folder
    if not stat.S_ISREG(found.st_mode):
        folder.refused.append(
            (os.fsencode(name), "not a regular file but a pipe, socket or device")
        )
        return
    folder.files.append(
        FoundFile(os.fsencode(name), found.st_size, modified_ns(found), changed_ns(found))
    )


def _is_junction(path: Path) -> bool:
    """Windows' other kind of link to a folder, which does not count as a symbolic link."""
    try:
        tag = getattr(os.lstat(path), "st_reparse_tag", 0)  # as isjunction does, from 3.12 on
    except OSError:
        return False
    return tag == _MOUNT_POINT


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
