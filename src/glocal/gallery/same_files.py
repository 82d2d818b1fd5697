"""Which files there are, as the disk has them now: one file under several names is one file.

A file is its device and inode. Symbolic links, folders reached by a link, bind mounts, names that
differ in case alone and hard links are further names of it: they are shown, and never taken for
copies. And a catalogue tells what was read once; before a file is called superfluous, its bytes
are read again.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from glocal.errors import ImageError
from glocal.gallery.catalog import Catalog
from glocal.gallery.describing import content_id
from glocal.gallery.walk import modified_ns
from glocal.images import Limits, urls
from glocal.images.url_paths import UrlPath

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class FileNow:
    """A file as it is now.

    Attributes:
        path: by which it was looked at.
        real: without any link on the way.
        key: what tells it from other files, whatever its name.
        names: hard links that lead to it, in all the file system.
        size: in bytes.
        modified: see `glocal.gallery.walk.modified_ns`.
        changed: nanoseconds since 1970 of the last change of the file or its names.
        is_link: whether the last part of the path is a symbolic link.
    """

    path: Path
    real: Path
    key: tuple[int, int] | str
    names: int
    size: int
    modified: int
    changed: int
    is_link: bool


def look(path: Path) -> FileNow | None:
    """A regular file as it is now, links followed; `None` if there is none."""
    if isinstance(path, UrlPath):
        return _look_at_url(path)
    try:
        found = os.stat(path)
        real = Path(os.path.realpath(path))
        is_link = stat.S_ISLNK(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    # Some network and FAT file systems number no files.
    key = (found.st_dev, found.st_ino) if found.st_ino else os.path.normcase(real)
    return FileNow(
        path,
        real,
        key,
        max(found.st_nlink, 1),
        found.st_size,
        modified_ns(found),
        found.st_ctime_ns,
        is_link,
    )


def _look_at_url(path: UrlPath) -> FileNow | None:
    try:
        now = urls.look(path)
    except ImageError:
        return None
    key = str(path)
    return FileNow(path, path, key, 1, now.size, now.modified, now.changed, is_link=False)


def content_of(path: Path) -> UUID | None:
    """The id of a file's bytes as they are now (see `content_id`); `None` if unreadable."""
    if isinstance(path, UrlPath):
        try:
            return content_id(urls.read_url(path, Limits()))
        except ImageError:
            return None
    try:
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError):
        return None
    try:
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            return UUID(bytes=hashlib.file_digest(file, "sha256").digest()[:16])
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Holders:
    """The files that hold one content.

    Attributes:
        files: one name of each file, sorted; those that a link alone leads to are not among them.
        links: further names of these files, and links to files that have no other name here.
        changed: names under which the content is no longer found: the file is gone, is something
            else by now, or cannot be read.
        hard: those of `files` that have further hard links somewhere, so that removing them frees
            nothing.
        sizes: bytes of each of `files`.
    """

    files: tuple[Path, ...]
    links: tuple[Path, ...] = ()
    changed: tuple[Path, ...] = ()
    hard: frozenset[Path] = frozenset()
    sizes: Mapping[Path, int] = field(default_factory=dict)

    def without(self, gone: Iterable[Path]) -> Holders:
        """The same, less files that turned out to have changed."""
        lost = set(gone)
        return Holders(
            tuple(path for path in self.files if path not in lost),
            self.links,
            tuple(sorted({*self.changed, *lost})),
            self.hard - lost,
            self.sizes,
        )


class Disk:
    """Looks at files of a gallery, each at most once.

    Args:
        catalog: the gallery's, which knows what each file held when it was read.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._verified: dict[Path, UUID | None] = {}

    def holders(self, contents: Iterable[UUID]) -> dict[UUID, Holders]:
        """The files that hold these contents; one that has changed since is looked into again."""
        named = self._catalog.files_of(contents)
        states: dict[int, dict[bytes, tuple[int, int]]] = {}
        wanted: dict[int, list[bytes]] = {}
        for found in named.values():
            for folder, path in found:
                wanted.setdefault(folder, []).append(os.fsencode(path.name))
        for folder, names in wanted.items():
            states[folder] = {
                name: (state.size, state.modified)
                for name, state in self._catalog.files_named(folder, names).items()
            }
        return {content: self._held(content, found, states) for content, found in named.items()}

    def still_holds(self, path: Path, content: UUID) -> bool:
        """Whether a file's bytes are those of a content, read now (once in this object's life)."""
        if path not in self._verified:
            self._verified[path] = content_of(path)
        return self._verified[path] == content

    def differs(self, path: Path, content: UUID) -> bool:
        """Whether a file was read by now and its bytes are not those of a content."""
        return path in self._verified and self._verified[path] != content

    def note(self, path: Path, content: UUID) -> None:
        """Remember what somebody else has read from a file just now."""
        self._verified[path] = content

    def _held(
        self,
        content: UUID,
        found: Sequence[tuple[int, Path]],
        states: Mapping[int, Mapping[bytes, tuple[int, int]]],
    ) -> Holders:
        present: dict[object, list[FileNow]] = {}
        changed = []
        for folder, path in found:
            now = look(path)
            known = states.get(folder, {}).get(os.fsencode(path.name))
            if now is None or (
                (now.size, now.modified) != known and not self.still_holds(path, content)
            ):
                changed.append(path)
            else:
                present.setdefault(now.key, []).append(now)
        files, links, hard, sizes = [], [], set(), {}
        for names in present.values():
            names.sort(key=_plainness)
            first, *others = names
            links += [other.path for other in others]
            if first.is_link:
                links.append(first.path)
                continue
            files.append(first.path)
            sizes[first.path] = first.size
            if first.names > 1:
                hard.add(first.path)
        return Holders(
            tuple(sorted(files)),
            tuple(sorted(links)),
            tuple(sorted(changed)),
            frozenset(hard),
            sizes,
        )


def _plainness(now: FileNow) -> tuple[bool, bool, int, str]:
    """The name of a file itself comes before those that lead to it by a link."""
    return now.is_link, now.path != now.real, len(str(now.path)), str(now.path)
